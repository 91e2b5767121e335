"""The models that ship with the package: data, found by id or name. None is ever removed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FOLDER = Path(__file__).parent
HISTORIES: Final[dict[str, str]] = {
    "ec891a6891a074743692deda480850fc": (  # photo
        "35,950 steps in three legs (16,750 of 4 crops with Adam, 18,600 of 8 crops with SOAP, 600 "
        "of 6 crops of 256 pixels), 5 1/4 hours on one to two CPU cores, 2,300 photographs; for "
        "squared error; docs/models/photo.md"
    ),
    "d21c312595fc06d249871ed398527f48": (  # photo-eyes
        "photo's 35,950 steps, then 5,200 of 8 crops in two legs, 75 minutes on one CPU core; for "
        "eyes; docs/models/photo-eyes.md"
    ),
    "815cda07a8e77dce9cf4a9a0e2a917c5": (  # photo-2
        "photo-eyes' 41,150 steps, then 6,593 of 8 crops in two legs, 95 minutes on one CPU "
        "core, 2,001 photographs and pictures of Debian packages; for eyes; "
        "docs/models/photo-2.md"
    ),
    "92a804a6d310c15b216129d77e9b83d8": (  # photo-3
        "photo-2's 47,743 steps, then 1,429 of 8 crops in two legs, 22 minutes on one CPU core, "
        "the same pictures; for eyes, with room for text; docs/models/photo-3.md"
    ),
    "c40d7552b14b67ce8fc75ff89f1ca16c": (  # photo-4
        "photo-3's 49,172 steps, then 5,000 of 8 crops, 95 minutes on one CPU core, the same "
        "pictures and more synthetic ones; for eyes, up to nearly lossless, integers of 12 "
        "bits; docs/models/photo-4.md"
    ),
    "4a2e8072ce7e57d1d9e70a327f751d8e": (  # photo-5
        "photo-4's 54,172 steps, then 3,972 of 8 crops, 93 minutes on one CPU core, the same "
        "pictures, more plain ones; for eyes, up to nearly lossless, integers of 14 bits; "
        "docs/models/photo-5.md"
    ),
    "1a479a187abc34400c75295f73af6c58": (  # photo-psnr
        "photo-4's 54,172 steps, then 7,250 of 8 crops, 110 minutes on one CPU core, the same "
        "pictures; for squared error (PSNR), up to 46 dB, integers of 14 bits; "
        "docs/models/photo-psnr.md"
    ),
    "72b7d48619d753962fe24c3ec116b391": (  # photo-6
        "photo-5's 58,144 steps, then 8,237 of 8 crops, 105 minutes on two CPU cores, the same "
        "pictures; for eyes, more of masked error and of coarse levels, integers of 14 bits; "
        "docs/models/photo-6.md"
    ),
    "fdcb8fde8b8853817514ea529f2a9b97": (  # photo-mse
        "photo-psnr's 61,422 steps, then 5,462 of 8 crops, 94 minutes on two CPU cores, the same "
        "pictures; for squared error (PSNR), up to 39 dB, integers of 14 bits; "
        "docs/models/photo-mse.md"
    ),
}
"""By id, how a shipped model came to be. What it says itself (``info``) is its last leg alone; it
is part of the id, and stays."""
RESULTS: Final[dict[str, dict[str, str]]] = {
    "d21c312595fc06d249871ed398527f48": {  # photo-eyes
        "analysis": "0aaf7c30f4a0fee7f2d7099d0ad59aff6e870cc68cb5e911f9a14c38cf0b7d6d",
        "hyper_analysis": "f89f82d1d0f4ef126fccb197c58362c8e51e2cc538c2cbb2c9eebf77a5557d1c",
        "hyper_synthesis": "7a24438a789678e5a4893ffd4d24b32da6b9e5ba496ae854963f1af815ac16c4",
        "prior_a": "e6d978facc37181e8ef1b54642a03c44c2e9621037a6afb22d9fa868f46825e7",
        "prior_b": "53001ba2907bc12e330f2802c26c24d7276ef7e4e0e942b93c46a6769cf7dc06",
        "synthesis": "e6c7f40b92c3544b99e46fb551d9007b77fd819f784e406a1a0db86b94c01f7d",
    },
    "ec891a6891a074743692deda480850fc": {  # photo
        "analysis": "4d028845d61aee6e13b6631630f4b8fd4b719328f1e9cbdb276346bba1cfd92a",
        "hyper_analysis": "bca6831872106cb760d7c3afe302ce2eda6c97e00d193833f736a849fa77ed76",
        "hyper_synthesis": "8cf2cf96e9fd3b9f536f78f1dfe1df4c7c9bfbbe5b7b02adc69e55d4e0c7a266",
        "prior_a": "a83888d7f15623f5da7917a202f1d63abf6cd56d05692a694a25e17636fc8682",
        "prior_b": "cc80b0584671d6a02b7f56200416abe3d5cab8b6ac85c4ecd9808334d042336b",
        "synthesis": "0827e924547ada428aae2f727a3dd1e453b15203d46a21def21aba76f434b7d8",
    },
    "815cda07a8e77dce9cf4a9a0e2a917c5": {  # photo-2
        "analysis": "9d73f450f48bae0ce5f60da88bd92e73681d4e7a406fad8425354ae171cb5278",
        "hyper_analysis": "f43c2f5ba38a63dc5c83a229049813db93f239dca539bc8292c2e0ccdd7360d9",
        "hyper_synthesis": "fcee0c15c69786f1abbf49bf72c116f1d2c3fce0617d3c625e0c037f9692ff78",
        "prior_a": "6ac67ca1951611bf072b980a07037c5a734340df0fcd8308bd84efb037d340c7",
        "prior_b": "772f4fffd76e01c1132df3dfbb49fda8867187018eeda170d33b76ae68e8f346",
        "synthesis": "1fa18cd8423ad8d374a65d8b4bd19b37d8d03e51d1ea0954c1fe1a08ea1bf50d",
    },
    "92a804a6d310c15b216129d77e9b83d8": {  # photo-3
        "analysis": "63e0a5ab056e48cc499e4d671c13f0d2f8ac836a18c6bba43ed14029e4698926",
        "hyper_analysis": "4530639afd5234ea87a25f92dfbf25385e5e219f45dffad6577925c13abd8321",
        "hyper_synthesis": "d11388b471ddbaac1473f63f7ed39f41808b88c84ea348e7acebe5c6f01ae4e2",
        "prior_a": "b1256f50284ae593f09f1f8b551a419fe1f75612277219c1359d72e9852808e8",
        "prior_b": "0bbfe0b9b9eb34e793aa32c77112e2652c5c0ba349ca2524c06611c89ca7feef",
        "synthesis": "5cd27980372dae194087bbe0c6f0633f6d468d5b16310aa6f3b37eba612a1117",
    },
    "c40d7552b14b67ce8fc75ff89f1ca16c": {  # photo-4
        "analysis": "bbf09ae51bd4758b5e4de02eb8fa3a25d757f4429837be99da8a3c918f130764",
        "hyper_analysis": "f25bc9e966a9191c42247519845a45d897f0deb8a5e010830f73eaf9a26a1d4a",
        "hyper_synthesis": "5913028ac321f2f6fb36ca53eccacd4351b46fafb8dde077dd97fafd077f8579",
        "prior_a": "8ca05ecce4a753182b23cee1d09b3858de788dc2a8f5f4d6bd8c7bbecec37666",
        "prior_b": "120b45485cb9097d45cbca3627f894c936b13f4ef559eb0e54410c65e4090925",
        "synthesis": "b9fad62dbc0c612de973f1302183e502249bb70d422d7c8c3221a746f73f235a",
    },
    "4a2e8072ce7e57d1d9e70a327f751d8e": {  # photo-5
        "analysis": "07f9dbe27b19e09dc5f8e42b0b83c787c59e67a004369f12fe5489b1b7df3e98",
        "hyper_analysis": "7b6395a265863a392773efa6b7805afb1e68d8f764c1eae52bc414afccc9f7bc",
        "hyper_synthesis": "0ab113b4ac2b0bd617f8df483e6cf6831c7559fe0c126351e062918cd4eaffb4",
        "prior_a": "0489ba2a709497520af332dc97eee267b757c23b9a0136bd71e3125578385e84",
        "prior_b": "92b5b4518bb2c28fd07fe7b184df9bdd437300f4378dea4b34a4a20f9377ad32",
        "synthesis": "ab585ed37d542d490085b9b1656bc8fbc3b1999134711a12c0b37000528c03cc",
    },
    "1a479a187abc34400c75295f73af6c58": {  # photo-psnr
        "analysis": "ce2d07a331ddf899d446418d4ab01da08db615398622bdca3b5032c8e13f7174",
        "hyper_analysis": "e7d8d2a162423e5ee5adc14111b25e60c12ab7bdce467f72c60312ea2177a675",
        "hyper_synthesis": "ec0e12dee367d570b1c0e8b1f525ff340c58ec1a88d479aa4ead7a10c26b4b88",
        "prior_a": "2eb9150794a26f354f92203a21bfdb322d071b6d35428fa4fa97dd44d2cd013c",
        "prior_b": "7dc163c7b0607421520277d8a0b4617b95880f09ec3715d9cd49e8affbbc0536",
        "synthesis": "ef5ece2d9dde339d346c513312e92fa71d51fd8549fd7cdb49dff8eefd3a7f60",
    },
    "72b7d48619d753962fe24c3ec116b391": {  # photo-6
        "analysis": "429567e2b7194c2758359e20300c34ab6b21e87d831a73642bdc6fb60726feb2",
        "hyper_analysis": "b5dc495c238431dc9a1fc640646a83b3737c2de11c8c5eab156beb66985df2c0",
        "hyper_synthesis": "8d0902b8a77ebea8525275e5b05b40047cc515c2d2781f8e1eef0db21fac4442",
        "prior_a": "49bf8f512e2e9c5f197b3b2481ef82a7c1be5680c7916aa81aa5135bd6df63ca",
        "prior_b": "bce7ded8dc63b0abe927533d3dd0ea2c48d118f8f537d754ce97b35c06e9772e",
        "synthesis": "65067e1c9f8e96fe6ee4ff8412a5cb2c6813a3766d1b8a9a8f940dbbfaeaf955",
    },
    "fdcb8fde8b8853817514ea529f2a9b97": {  # photo-mse
        "analysis": "ecbb4f340060414984a42955dad6ecb9ffb7d2b30c1175813a3a9349952df188",
        "hyper_analysis": "a5b7c541babf18b01f426f9b3035f40eed8801a368f4ff09d1824055504826bc",
        "hyper_synthesis": "52a5589daa5a62558cdd355a03e87bab8d16c44ee9c41b90957bfbf9fd4d7696",
        "prior_a": "718821e6898b02fc04177b265333d0f55fb597b6b3710b9c4da35b0d31f27e9d",
        "prior_b": "d092cea0ad85bc90a53fe64e28ea82cf0aedec40e484d7869a2428e6018e2dee",
        "synthesis": "ee2618a5ab11dc53fc4aadfea6032f0d2314fbc184aa151ff1a3c283518e1503",
    },
}
"""By id and role `intact.codec.store.results_of`: what the reference computes of a shipped model,
so that a backend can be tried out without it. Who could forge this could change the package.
"""
