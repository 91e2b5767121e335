#!/bin/sh
# Compiles the kernels of native/ for WebAssembly: wasm/kernels.wasm, which is committed. Needs clang and lld.
set -eu
cd "$(dirname "$0")"
out=${1:-wasm/kernels.wasm}
n=../native
exec ${CLANG:-clang} --target=wasm32 -std=c11 -O3 -msimd128 -mbulk-memory -mnontrapping-fptoint -ffreestanding -nostdlib \
    -fvisibility=hidden -Wall -Wextra -Werror -I wasm/include -I $n \
    wasm/front.c $n/intnet.c $n/intnet_portable.c $n/rans.c $n/unpack.c \
    -Wl,--no-entry -Wl,--export-dynamic -Wl,--strip-all -Wl,-z,stack-size=131072 -o "$out"
