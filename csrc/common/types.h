// The four element types and their arithmetic: storage types of 16 bits compute in float. Usable on CPU and in CUDA
// code.
#ifndef KERASCNN_COMMON_TYPES_H_
#define KERASCNN_COMMON_TYPES_H_

#include <cstdint>
#include <cstring>

// For functions that kernels of both kinds call. A CUDA device has instructions for the conversions below.
#ifdef __CUDACC__
#define KERASCNN_INLINE __host__ __device__ inline __attribute__((always_inline))
#else
#define KERASCNN_INLINE inline __attribute__((always_inline))
#endif

namespace kerascnn {

// Same layout as Eigen::bfloat16 / tensorflow::bfloat16 and Eigen::half, so that pointers may be cast.
struct bfloat16 {
  uint16_t bits;
};
struct half {
  uint16_t bits;
};

template <typename To, typename From>
KERASCNN_INLINE To BitCast(From from) {
  static_assert(sizeof(To) == sizeof(From), "BitCast keeps the size");
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

// The type in which sums of T are formed.
template <typename T>
struct ComputeOf {
  using type = float;
};
template <>
struct ComputeOf<double> {
  using type = double;
};
template <typename T>
using Compute = typename ComputeOf<T>::type;

KERASCNN_INLINE float ToCompute(float x) { return x; }
KERASCNN_INLINE double ToCompute(double x) { return x; }
KERASCNN_INLINE float ToCompute(bfloat16 x) { return BitCast<float>(static_cast<uint32_t>(x.bits) << 16); }
// The exponent is rebiased by integers. A subnormal half gets a leading one that is then subtracted, so that no step
// meets a subnormal float: TensorFlow's threads flush those to zero. No branch, so that loops over it vectorize.
KERASCNN_INLINE float ToCompute(half x) {
#ifdef __CUDA_ARCH__
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(x.bits));
  return value;
#else
  const uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000u) << 16;
  const uint32_t magnitude = static_cast<uint32_t>(x.bits & 0x7fffu) << 13;
  const uint32_t normal = magnitude + 0x38000000u;
  const uint32_t subnormal = BitCast<uint32_t>(BitCast<float>(magnitude + 0x38800000u) - BitCast<float>(0x38800000u));
  const uint32_t finite = magnitude < 0x00800000u ? subnormal : normal;
  const uint32_t special = magnitude | 0x7f800000u;  // infinity and NaN keep their mantissa
  return BitCast<float>(sign | (magnitude >= 0x0f800000u ? special : finite));
#endif
}

template <typename T>
KERASCNN_INLINE T FromCompute(Compute<T> x);
template <>
KERASCNN_INLINE float FromCompute<float>(float x) {
  return x;
}
template <>
KERASCNN_INLINE double FromCompute<double>(double x) {
  return x;
}
// Round to nearest, ties to even; a NaN stays a (quiet) NaN.
template <>
KERASCNN_INLINE bfloat16 FromCompute<bfloat16>(float x) {
#ifdef __CUDA_ARCH__
  bfloat16 value;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(value.bits) : "f"(x));
  return value;
#else
  const uint32_t bits = BitCast<uint32_t>(x);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const uint32_t nan = (bits >> 16) | 0x40u;
  return {static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded)};
#endif
}
template <>
KERASCNN_INLINE half FromCompute<half>(float x) {
#ifdef __CUDA_ARCH__
  half value;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(value.bits) : "f"(x));
  return value;
#else
  const uint32_t bits = BitCast<uint32_t>(x);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  // Normal halves: rebias the exponent and round the 13 lost bits to nearest even.
  const uint32_t normal = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  // Subnormal halves: adding 0.5 makes the float adder do the rounding at 2^-24.
  const uint32_t subnormal = BitCast<uint32_t>(BitCast<float>(magnitude) + 0.5f) - 0x3f000000u;
  const uint32_t special = magnitude > 0x7f800000u ? (0x7e00u | ((magnitude >> 13) & 0x3ffu)) : 0x7c00u;
  const uint32_t finite = magnitude < 0x38800000u ? subnormal : normal;
  return {static_cast<uint16_t>(sign | (magnitude >= 0x477ff000u ? special : finite))};  // >= 65520 overflows
#endif
}

}  // namespace kerascnn

#endif  // KERASCNN_COMMON_TYPES_H_
