// Includes KERASCNN_SIMD_FILE once per instruction set; see simd.h. No include guard: each kernel includes it anew.
//
// Inside the file: KERASCNN_SIMD_NAMESPACE is baseline, avx2 or avx512; KERASCNN_SIMD_BYTES is the width of a vector
// register (16, 32, 64). Loops written plainly are vectorized; so are GCC vector types of KERASCNN_SIMD_BYTES.

#define KERASCNN_SIMD_NAMESPACE baseline
#define KERASCNN_SIMD_BYTES 16
namespace kerascnn {
namespace baseline {
#include KERASCNN_SIMD_FILE
}  // namespace baseline
}  // namespace kerascnn
#undef KERASCNN_SIMD_NAMESPACE
#undef KERASCNN_SIMD_BYTES

#ifdef KERASCNN_SIMD_X86

#define KERASCNN_SIMD_NAMESPACE avx2
#define KERASCNN_SIMD_BYTES 32
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif
namespace kerascnn {
namespace avx2 {
#include KERASCNN_SIMD_FILE
}  // namespace avx2
}  // namespace kerascnn
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef KERASCNN_SIMD_NAMESPACE
#undef KERASCNN_SIMD_BYTES

#define KERASCNN_SIMD_NAMESPACE avx512
#define KERASCNN_SIMD_BYTES 64
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")
#endif
namespace kerascnn {
namespace avx512 {
#include KERASCNN_SIMD_FILE
}  // namespace avx512
}  // namespace kerascnn
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef KERASCNN_SIMD_NAMESPACE
#undef KERASCNN_SIMD_BYTES

#endif  // KERASCNN_SIMD_X86
#undef KERASCNN_SIMD_FILE
