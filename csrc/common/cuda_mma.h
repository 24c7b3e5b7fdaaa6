// Tensor cores: instructions of a whole warp, as PTX defines them, and their imitation on the CPU.
#ifndef KERASCNN_COMMON_CUDA_MMA_H_
#define KERASCNN_COMMON_CUDA_MMA_H_

#include <type_traits>

#include "common/cuda_vector.h"

namespace kerascnn {

#ifdef KERASCNN_CUDA_ON_CPU

namespace shim {

// What lane `lane` passed to WarpGather().
template <typename V>
V Passed(const unsigned char* all, int lane) {
  V value;
  std::memcpy(&value, all + lane * kGatherBytes, sizeof(V));
  return value;
}

// Value `k` of those in registers that a tensor core takes from one line of a fragment.
template <typename T>
float MmaValue(const uint32_t* registers, int k) {
  if constexpr (std::is_same_v<T, float>) {
    if (registers[k] & 0x1fffu) Fail("a tensor core is given a float that is not tf32");
    return BitCast<float>(registers[k]);
  } else {
    return ToCompute(T{static_cast<uint16_t>(registers[k / 2] >> k % 2 * 16)});
  }
}

}  // namespace shim

#endif

// Four matrices of 8 x 8 elements of 16 bits from shared memory: lane 8 i + r passes the address of line r of matrix i,
// aligned to 16 bytes. Of each, lane 4 g + t gets elements 2t and 2t + 1 of line g; where kTransposed, element g of
// lines 2t and 2t + 1.
template <bool kTransposed, typename T>
__device__ inline void LoadMatrices(const T* line, uint32_t* registers) {
  static_assert(sizeof(T) == 2, "");
#ifdef KERASCNN_CUDA_ON_CPU
  if (!IsAligned(line, 16)) shim::Fail("a matrix is read from an unaligned address");
  const unsigned char* const all = shim::WarpGather(kAllLanes, &line, sizeof(line));
  const int g = shim::Lane() / 4, t = shim::Lane() % 4;
  for (int i = 0; i < 4; ++i) {
    uint32_t pair = 0;
    for (int s = 0; s < 2; ++s) {
      const int row = kTransposed ? 2 * t + s : g, at = kTransposed ? g : 2 * t + s;
      pair |= uint32_t{shim::Passed<const T*>(all, 8 * i + row)[at].bits} << 16 * s;
    }
    registers[i] = pair;
  }
#else
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(line));
  if constexpr (kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
                 : "r"(address)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
                 : "r"(address)
                 : "memory");
  }
#endif
}

// C += A B with A of 16 rows and B of 8 columns, 16 deep, or 8 for float, of which the lower 13 bits must be 0. Lane
// 4 g + t passes, where u stands for t, or for 2t and 2t + 1 in the 16-bit types, and h is half the depth:
// a: A[g][u], A[g + 8][u], A[g][u + h], A[g + 8][u + h]; b: B[u][g], B[u + h][g]; c: C[g][2t], C[g][2t + 1],
// C[g + 8][2t], C[g + 8][2t + 1]. Volatile, so that it stays where all lanes pass.
template <typename T>
__device__ inline void MultiplyAdd(const uint32_t* a, const uint32_t* b, float* c) {
#ifdef KERASCNN_CUDA_ON_CPU
  struct Fragments {
    uint32_t a[4], b[2];
  };
  const Fragments mine = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  const unsigned char* const all = shim::WarpGather(kAllLanes, &mine, sizeof(mine));
  const int g = shim::Lane() / 4, t = shim::Lane() % 4;
  constexpr int kEach = std::is_same_v<T, float> ? 1 : 2, kHalf = 4 * kEach;
  for (int i = 0; i < 4; ++i) {
    const int row = g + i / 2 * 8, column = 2 * t + i % 2;
    double sum = c[i];
    for (int k = 0; k < 2 * kHalf; ++k) {
      const int lane = k % kHalf / kEach;
      const Fragments left = shim::Passed<Fragments>(all, row % 8 * 4 + lane);
      const Fragments right = shim::Passed<Fragments>(all, column * 4 + lane);
      sum += double(shim::MmaValue<T>(left.a + row / 8 + k / kHalf * 2, k % kEach)) *
             shim::MmaValue<T>(right.b + k / kHalf, k % kEach);
    }
    c[i] = static_cast<float>(sum);
    if (std::abs(double(c[i])) > std::abs(sum)) c[i] = std::nextafter(c[i], 0.0f);  // towards zero
  }
#else
  if constexpr (std::is_same_v<T, float>) {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else if constexpr (std::is_same_v<T, bfloat16>) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
#endif
}

}  // namespace kerascnn

#endif  // KERASCNN_COMMON_CUDA_MMA_H_
