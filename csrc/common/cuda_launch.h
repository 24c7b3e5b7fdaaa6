// How a CUDA kernel is written and started here, so that nvcc compiles it for a GPU and g++ for the CPU, in tests.
//
// `kernels/<op>_cuda.h` declares functions that take device pointers and a stream as `void*` and return what went wrong
// in words, "" if nothing; `kernels/<op>_cuda.cu` holds
//
//   #include "kernels/<op>_cuda.h"
//   #include "common/cuda_launch.h"   // Launch; the runtime, or its imitation on the CPU (cuda_shim.h)
//   #include "common/cuda_vector.h"   // 128-bit loads and stores, reductions over a warp
//
//   template <typename T>
//   __global__ void __launch_bounds__(256) Scale(int64_t n, const T* __restrict__ x, T* __restrict__ y) {
//     for (int64_t i = GlobalThread(); i < n; i += GlobalThreads()) y[i] = FromCompute<T>(2 * ToCompute(x[i]));
//   }
//   template <typename T>
//   std::string ScaleCuda(int64_t n, const T* x, T* y, void* stream) {
//     return Launch(Scale<T>, {BlocksFor(n, 256), 256}, stream, n, x, y);
//   }
//
// and instantiates the launchers for float, double, bfloat16 and half. Rules:
// * no TensorFlow, Eigen or abseil; parameters by value in a plain struct; 64-bit indices wherever a tensor is
// addressed;
// * a grid may be cut to kMaxBlocks: every kernel strides over its work by gridDim.x, the only dimension in use;
// * threads a block: a multiple of 32, at most 1024, with __launch_bounds__; a thread that has nothing to do still
//   reaches every __syncthreads() and every shuffle of its warp;
// * shared memory: `KERASCNN_SHARED(float, tile);` is the dynamic part, whose bytes the grid states (at most 48 KiB:
// all
//   devices have that); on the CPU it is filled with NaN and its bounds are known to the address sanitizer;
// * no atomics on floating-point numbers unless the header says that the order of the sum is not fixed;
// * warnings are errors; `make cuda-check` shows registers and refuses spills; `tests/csrc/test_cuda_*.py` run the
// bodies.
#ifndef KERASCNN_COMMON_CUDA_LAUNCH_H_
#define KERASCNN_COMMON_CUDA_LAUNCH_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>

#ifdef KERASCNN_CUDA_ON_CPU
#include "common/cuda_shim.h"
#else
#include <cuda_runtime_api.h>
#endif

namespace kerascnn {

constexpr int64_t kMaxBlocks = 1 << 30;
constexpr int64_t kSharedBytes = 48 << 10;  // of one block, on every device

// Working memory of one kind that an op asks for at most, where it can work in pieces. On the CPU tests reach the loops
// over pieces with small arrays.
#ifdef KERASCNN_CUDA_ON_CPU
constexpr int64_t kPieceBytes = 32 << 10;
#else
constexpr int64_t kPieceBytes = 64 << 20;
#endif

struct Grid {
  int64_t blocks;  // what the work asks for; fewer may be started
  int threads;
  int64_t shared = 0;  // bytes of dynamic shared memory
};

inline int64_t BlocksFor(int64_t n, int64_t per_block) { return (n + per_block - 1) / per_block; }

#ifdef KERASCNN_CUDA_ON_CPU

template <typename... Parameters, typename... Arguments>
std::string Launch(void (*kernel)(Parameters...), const Grid& grid, void* /*stream*/, Arguments... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments), "one argument per parameter of the kernel");
  if (grid.blocks <= 0) return "";
  const auto body = [&] { kernel(static_cast<Parameters>(arguments)...); };
  return shim::Run(std::min(grid.blocks, kMaxBlocks), grid.threads, grid.shared, body);
}

#else

inline std::string CudaError(cudaError_t code) {
  return code == cudaSuccess ? "" : std::string("CUDA: ") + cudaGetErrorString(code);
}

// Starts `kernel` on `stream` and returns at once; what went wrong in words, "" if nothing. No blocks: nothing happens.
template <typename... Parameters, typename... Arguments>
std::string Launch(void (*kernel)(Parameters...), const Grid& grid, void* stream, Arguments... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments), "one argument per parameter of the kernel");
  if (grid.blocks <= 0) return "";
  std::tuple<std::decay_t<Parameters>...> values(static_cast<Parameters>(arguments)...);
  const cudaError_t code = std::apply(
      [&](auto&... value) {
        void* pointers[] = {const_cast<void*>(static_cast<const void*>(&value))...};
        return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), dim3(std::min(grid.blocks, kMaxBlocks)),
                                dim3(grid.threads), pointers, grid.shared, static_cast<cudaStream_t>(stream));
      },
      values);
  if (code != cudaSuccess) cudaGetLastError();  // so that the next caller does not meet it
  return CudaError(code);
}

#define KERASCNN_SHARED(T, name)                                   \
  extern __shared__ __align__(16) unsigned char kerascnn_shared[]; \
  T* const name = reinterpret_cast<T*>(kerascnn_shared)

#endif

// This thread's place in the grid, and the number of threads in it.
__device__ inline int64_t GlobalThread() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ inline int64_t GlobalThreads() { return int64_t(gridDim.x) * blockDim.x; }

// Division of 0 <= n < 2^62 by a number that the host knows: a device's own 64-bit division is a long subroutine. The
// method is that of Granlund and Montgomery, "Division by invariant integers using multiplication", 1994, figure 4.1.
struct Divider {
  int64_t divisor = 1;
  uint64_t multiplier = 1;
  int shift = 0;

  explicit Divider(int64_t d) : divisor(d) {
    while (shift < 62 && (int64_t{1} << shift) < d) ++shift;
    const unsigned __int128 above = (unsigned __int128)((uint64_t{1} << shift) - uint64_t(d)) << 64;
    multiplier = static_cast<uint64_t>(above / uint64_t(d)) + 1;
  }
  __device__ int64_t Quotient(int64_t n) const {
    return static_cast<int64_t>((__umul64hi(multiplier, static_cast<uint64_t>(n)) + static_cast<uint64_t>(n)) >> shift);
  }
  // Sets n to its quotient and returns the remainder.
  __device__ int64_t Split(int64_t* n) const {
    const int64_t quotient = Quotient(*n), remainder = *n - quotient * divisor;
    *n = quotient;
    return remainder;
  }
};

}  // namespace kerascnn

#endif  // KERASCNN_COMMON_CUDA_LAUNCH_H_
