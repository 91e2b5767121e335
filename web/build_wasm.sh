#!/bin/sh
# Compiles the kernels of native/ for WebAssembly: wasm/kernels.wasm, which is committed. Needs clang and lld.
set -eu
cd "$(dirname "$0")"
out=${1:-wasm/kernels.wasm}
n=../native
exec ${CLANG:-clang} --target=wasm32 -std=c11 -O3 -msimd128 -mbulk-memory -mnontrapping-fptoint -ffreestanding -nostdlib \
    -fvisibility=hidden -Wall -Wextra -Werror -I wasm/include -I $n \
    wasm/front.c wasm/sha256.c $n/intnet.c $n/intnet_portable.c $n/rans.c $n/unpack.c \
    $(for name in web_alloc web_mark web_reset intact_intnet_layout intact_intnet_run intact_rans_decode intact_unpack \
        web_sha256; do
        echo "-Wl,--export=$name"; done) -Wl,--no-entry -Wl,--gc-sections -Wl,--strip-all -Wl,-z,stack-size=131072 -o "$out"
