// What CUDA kernels share: vectors of 16 bytes, exchange within a warp, fast powers.
#ifndef KERASCNN_COMMON_CUDA_VECTOR_H_
#define KERASCNN_COMMON_CUDA_VECTOR_H_

#include <cmath>
#include <cstdint>

#include "common/cuda_launch.h"
#include "common/types.h"

namespace kerascnn {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

// N elements that are loaded and stored at once: 1, 2, 4, 8 or 16 bytes in all, aligned to their size.
template <typename T, int N = 16 / sizeof(T)>
struct alignas(sizeof(T) * N) Vector {
  T at[N];
};

// Elements of T in 16 bytes.
template <typename T>
constexpr int kVectorSize = 16 / sizeof(T);

template <int kBytes>
struct RawVector;
template <>
struct RawVector<16> {
  using type = uint4;
};
template <>
struct RawVector<8> {
  using type = uint2;
};
template <>
struct RawVector<4> {
  using type = unsigned;
};
template <>
struct RawVector<2> {
  using type = unsigned short;
};
template <>
struct RawVector<1> {
  using type = unsigned char;
};

// Whether vectors of `bytes` may be read through the pointer.
inline bool IsAligned(const void* pointer, int64_t bytes) { return reinterpret_cast<uintptr_t>(pointer) % bytes == 0; }

// Reads from memory that nobody writes while the kernel runs.
template <int N, typename T>
__device__ inline Vector<T, N> LoadVector(const T* from) {
  using Raw = typename RawVector<sizeof(T) * N>::type;
#ifdef KERASCNN_CUDA_ON_CPU
  return BitCast<Vector<T, N>>(shim::Load<Raw>(from));
#else
  return BitCast<Vector<T, N>>(__ldg(reinterpret_cast<const Raw*>(from)));
#endif
}

template <int N, typename T>
__device__ inline void StoreVector(const Vector<T, N>& vector, T* to) {
  using Raw = typename RawVector<sizeof(T) * N>::type;
#ifdef KERASCNN_CUDA_ON_CPU
  shim::Store(BitCast<Raw>(vector), to);
#else
  *reinterpret_cast<Raw*>(to) = BitCast<Raw>(vector);
#endif
}

// to[i] += values[i], where other threads may add at the same time: the order of the sum is not fixed. `to` is aligned
// to 16 bytes unless N is 1. Devices from compute capability 9.0 on add four floats at once.
template <int N, typename R>
__device__ inline void AtomicAddVector(R* to, const R* values) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  constexpr bool kFours = sizeof(R) == 4 && N % 4 == 0;
#else
  constexpr bool kFours = false;
#endif
#pragma unroll
  for (int i = 0; i < N; i += kFours ? 4 : 1) {
    if constexpr (kFours) {
      asm volatile("red.relaxed.gpu.global.add.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(to + i), "f"(values[i]),
                   "f"(values[i + 1]), "f"(values[i + 2]), "f"(values[i + 3])
                   : "memory");
    } else {
      atomicAdd(to + i, values[i]);
    }
  }
}

// The sum over groups of `width` neighboring lanes (a power of two), in every lane of the group. All lanes take part.
template <typename R>
__device__ inline R WarpSum(R value, int width = kWarp) {
  for (int distance = width / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(kAllLanes, value, distance);
  return value;
}

// The sum over the block, in every thread, the same bits in each. `spare` is shared memory for 32 values; nobody may
// use it within a barrier of the call. All threads take part.
template <typename R>
__device__ inline R BlockSum(R value, R* spare) {
  value = WarpSum(value);
  if (threadIdx.x % kWarp == 0) spare[threadIdx.x / kWarp] = value;
  __syncthreads();
  const int warps = blockDim.x / kWarp, lane = threadIdx.x % kWarp;
  const R sum = WarpSum(lane < warps ? spare[lane] : R(0));
  __syncthreads();
  return sum;
}

// 1 / x, 1 / sqrt(x) and sqrt(x): for float on a device one instruction each, with a relative error of about 2^-22.
__device__ inline double Reciprocal(double x) { return 1 / x; }
__device__ inline double RootReciprocal(double x) { return 1 / sqrt(x); }
__device__ inline double Root(double x) { return sqrt(x); }
__device__ inline float Reciprocal(float x) {
#ifdef __CUDA_ARCH__
  float reciprocal;
  asm("rcp.approx.f32 %0, %1;" : "=f"(reciprocal) : "f"(x));
  return reciprocal;
#else
  return 1 / x;
#endif
}
__device__ inline float RootReciprocal(float x) {
#ifdef __CUDA_ARCH__
  return rsqrtf(x);
#else
  return 1 / std::sqrt(x);
#endif
}
__device__ inline float Root(float x) {
#ifdef __CUDA_ARCH__
  float root;
  asm("sqrt.approx.f32 %0, %1;" : "=f"(root) : "f"(x));
  return root;
#else
  return std::sqrt(x);
#endif
}

}  // namespace kerascnn

#endif  // KERASCNN_COMMON_CUDA_VECTOR_H_
