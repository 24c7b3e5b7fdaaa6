// CUDA's language on the CPU, for tests: g++ compiles a .cu file with -x c++ -DKERASCNN_CUDA_ON_CPU -include this.
//
// Blocks run one after another. The threads of a block are fibers of the calling thread, so barriers and shuffles are
// exact and a run is reproducible. What a GPU would punish with wrong numbers or a hang is reported by Launch() in
// words: threads that miss a barrier, lanes missing from a shuffle's mask, reads from lanes outside it, unaligned
// vectors. Dynamic shared memory starts as NaN in every block. Not imitated: the order of threads without a barrier
// between them, the memory model, textures, the caches, tensor cores (write those with shim::WarpGather).
#ifndef KERASCNN_COMMON_CUDA_SHIM_H_
#define KERASCNN_COMMON_CUDA_SHIM_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __shared__ static thread_local
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

struct uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct CudaIndex {
  unsigned x = 0, y = 0, z = 0;
};
// Of the fiber that is running.
extern thread_local CudaIndex threadIdx, blockIdx, blockDim, gridDim;

using std::max;
using std::min;

namespace kerascnn {
namespace shim {

// A reference to a callable without arguments.
struct Body {
  const void* object;
  void (*call)(const void*);
  template <typename F>
  Body(const F& f)  // NOLINT: implicit, so that a lambda can be passed
      : object(&f), call([](const void* object) { (*static_cast<const F*>(object))(); }) {}
};

// Calls the body once for every thread of the grid; what went wrong in words, "" if nothing.
std::string Run(int64_t blocks, int threads, int64_t shared_bytes, Body body);

// Grids larger than this are cut, so that small tests reach the loops over gridDim.x; 0: no limit.
void SetMaxBlocks(int64_t blocks);

void* SharedMemory();
void SyncThreads();

// The first thing that went wrong in the grid; the block is given up at the next barrier or shuffle.
void Fail(const std::string& what);

constexpr int kGatherBytes = 64;  // at most, from each lane

// Waits for the lanes in `mask`, then returns what each of them passed: lane i's bytes begin at i * kGatherBytes and
// are valid until this thread's next barrier or shuffle. Every lane of the mask must pass the same mask, itself
// included.
const unsigned char* WarpGather(unsigned mask, const void* mine, int bytes);

inline int Lane() { return threadIdx.x % 32; }

template <typename V>
V FromLane(unsigned mask, const V& mine, int lane, bool inside) {
  static_assert(std::is_trivially_copyable_v<V> && sizeof(V) <= kGatherBytes, "shuffles move plain values");
  const unsigned char* all = WarpGather(mask, &mine, sizeof(V));
  if (!inside) return mine;
  if (!(mask >> lane & 1)) Fail("a shuffle reads a lane outside its mask");
  V value;
  std::memcpy(&value, all + lane * kGatherBytes, sizeof(V));
  return value;
}

template <typename Raw>
Raw Load(const void* from) {
  if (reinterpret_cast<uintptr_t>(from) % sizeof(Raw) != 0) Fail("a vector is read from an unaligned address");
  Raw raw;
  std::memcpy(&raw, from, sizeof(Raw));
  return raw;
}

template <typename Raw>
void Store(const Raw& raw, void* to) {
  if (reinterpret_cast<uintptr_t>(to) % sizeof(Raw) != 0) Fail("a vector is written to an unaligned address");
  std::memcpy(to, &raw, sizeof(Raw));
}

}  // namespace shim
}  // namespace kerascnn

#define KERASCNN_SHARED(T, name) T* const name = static_cast<T*>(::kerascnn::shim::SharedMemory())

inline void __syncthreads() { kerascnn::shim::SyncThreads(); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { kerascnn::shim::WarpGather(mask, nullptr, 0); }

template <typename V>
V __shfl_sync(unsigned mask, V value, int lane, int width = 32) {
  return kerascnn::shim::FromLane(mask, value, kerascnn::shim::Lane() / width * width + lane % width, true);
}
template <typename V>
V __shfl_up_sync(unsigned mask, V value, unsigned delta, int width = 32) {
  const int lane = kerascnn::shim::Lane();
  return kerascnn::shim::FromLane(mask, value, lane - int(delta), lane % width >= int(delta));
}
template <typename V>
V __shfl_down_sync(unsigned mask, V value, unsigned delta, int width = 32) {
  const int lane = kerascnn::shim::Lane();
  return kerascnn::shim::FromLane(mask, value, lane + int(delta), lane % width + int(delta) < width);
}
template <typename V>
V __shfl_xor_sync(unsigned mask, V value, int bits, int width = 32) {
  const int lane = kerascnn::shim::Lane(), other = lane ^ bits;
  return kerascnn::shim::FromLane(mask, value, other, other / width <= lane / width);
}
inline unsigned __ballot_sync(unsigned mask, bool condition) {
  const unsigned char* all = kerascnn::shim::WarpGather(mask, &condition, 1);
  unsigned votes = 0;
  for (int lane = 0; lane < 32; ++lane) {
    if (mask >> lane & 1) votes |= unsigned(all[lane * kerascnn::shim::kGatherBytes] != 0) << lane;
  }
  return votes;
}
inline bool __any_sync(unsigned mask, bool condition) { return __ballot_sync(mask, condition) != 0; }
inline bool __all_sync(unsigned mask, bool condition) { return __ballot_sync(mask, condition) == mask; }

// Fibers never interrupt each other, so that plain arithmetic is atomic; the old value is returned.
template <typename V, typename W>
V atomicAdd(V* to, W value) {
  const V old = *to;
  *to = old + V(value);
  return old;
}
template <typename V>
V __ldg(const V* from) {
  return *from;
}

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline uint64_t __umul64hi(uint64_t a, uint64_t b) { return uint64_t((unsigned __int128)a * b >> 64); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(uint64_t(a) * b >> 32); }

#endif  // KERASCNN_COMMON_CUDA_SHIM_H_
