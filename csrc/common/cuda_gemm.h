// Matrix products on a CUDA device: C = A B, for several groups at a time, in parts along the depth where asked for.
//
// A block has a tile of kGemmRows x kGemmColumns of C in registers and walks over the depth; while it multiplies one
// slice of A and B in shared memory, the next is on its way from memory to registers. float and double multiply
// element by element, the 16-bit types with tensor cores (mma.sync m16n8k16), and add up in float.
#ifndef KERASCNN_COMMON_CUDA_GEMM_H_
#define KERASCNN_COMMON_CUDA_GEMM_H_

#include <type_traits>

#include "common/cuda_vector.h"

namespace kerascnn {

constexpr int kGemmThreads = 256, kGemmRows = 128, kGemmColumns = 64;

// Where a matrix lies: lines of neighbouring elements. A line runs along the depth, or along the rows (of A) or columns
// (of B).
struct GemmMatrix {
  int64_t line;     // elements from one line to the next
  int64_t group;    // from one group to the next
  bool by_vectors;  // all lines of all groups begin at multiples of 16 bytes
  template <typename T>
  static GemmMatrix Of(const T* data, int64_t line, int64_t group) {
    return {line, group, line % kVectorSize<T> == 0 && group % kVectorSize<T> == 0 && IsAligned(data, 16)};
  }
};

struct Gemm {
  int64_t rows, columns, depth, groups;
  int64_t parts, share;  // part p takes [p * share, (p + 1) * share) of the depth; share is a multiple of the slice
  GemmMatrix a, b;
  int64_t c_line, c_group, c_part;
  bool add;  // to what C holds; else it is written

  int64_t row_tiles() const { return BlocksFor(rows, kGemmRows); }
  int64_t column_tiles() const { return BlocksFor(columns, kGemmColumns); }
  int64_t tiles() const { return row_tiles() * column_tiles() * groups * parts; }
};

// Slices of T in shared memory, and a thread's part of the product.
//
// float and double: [depth][row], padded; thread (y, x) of 16 x 16 has rows 8 y ... and columns 4 x ....
template <typename T>
struct GemmTile {
  static constexpr int kDepth = 4 * kVectorSize<T>, kRowLine = kGemmRows + 4, kColumnLine = kGemmColumns + 4;
  static constexpr int kSizeA = kDepth * kRowLine, kSizeB = kDepth * kColumnLine;
  static constexpr int kMine = 8, kMineColumns = 4;
  T sums[kMine][kMineColumns];

  __device__ static void PutA(T* a, int row, int k, T value) { a[k * kRowLine + row] = value; }
  __device__ static void PutB(T* b, int column, int k, T value) { b[k * kColumnLine + column] = value; }
  __device__ void Clear() {
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
#pragma unroll
      for (int j = 0; j < kMineColumns; ++j) sums[i][j] = 0;
    }
  }
  __device__ void Multiply(const T* a, const T* b) {
    const int row = threadIdx.x / 16 * kMine, column = threadIdx.x % 16 * kMineColumns;
#pragma unroll
    for (int k = 0; k < kDepth; ++k) {
      constexpr int kSize = kVectorSize<T>;
      const auto* const rows = reinterpret_cast<const Vector<T>*>(a + k * kRowLine + row);
      const auto* const columns = reinterpret_cast<const Vector<T>*>(b + k * kColumnLine + column);
      Vector<T> left[kMine / kSize], right[kMineColumns / kSize];
#pragma unroll
      for (int i = 0; i < kMine / kSize; ++i) left[i] = rows[i];
#pragma unroll
      for (int j = 0; j < kMineColumns / kSize; ++j) right[j] = columns[j];
#pragma unroll
      for (int i = 0; i < kMine; ++i) {
#pragma unroll
        for (int j = 0; j < kMineColumns; ++j)
          sums[i][j] += left[i / kSize].at[i % kSize] * right[j / kSize].at[j % kSize];
      }
    }
  }
  // Calls store(row, column, sum) for every element of this thread.
  template <typename Store>
  __device__ void ForEach(const Store& store) const {
    const int row = threadIdx.x / 16 * kMine, column = threadIdx.x % 16 * kMineColumns;
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
#pragma unroll
      for (int j = 0; j < kMineColumns; ++j) store(row + i, column + j, sums[i][j]);
    }
  }
};

// A tensor core's fragments, as PTX defines them for mma.m16n8k16: lane 4 g + t holds A[g][2t], [g + 8][2t], [g][2t +
// 8] and [g + 8][2t + 8], each with its right neighbour; B[2t][g] and B[2t + 8][g], each with the one below; sums
// C[g][2t], C[g][2t + 1], C[g + 8][2t], C[g + 8][2t + 1].
struct MmaFragments {
  uint32_t a[4], b[2];
};

template <typename T>
__device__ inline void Mma(const MmaFragments& in, float* c) {
#ifdef KERASCNN_CUDA_ON_CPU
  const unsigned char* const all = shim::WarpGather(kAllLanes, &in, sizeof(in));
  const int g = shim::Lane() / 4, t = shim::Lane() % 4;
  const auto value = [](uint32_t pair, int upper) {
    return ToCompute(T{static_cast<uint16_t>(upper ? pair >> 16 : pair & 0xffffu)});
  };
  for (int i = 0; i < 4; ++i) {
    const int row = g + i / 2 * 8, column = 2 * t + i % 2;
    for (int k = 0; k < 16; ++k) {
      MmaFragments left, right;
      std::memcpy(&left, all + (row % 8 * 4 + k % 8 / 2) * shim::kGatherBytes, sizeof(left));
      std::memcpy(&right, all + (column * 4 + k % 8 / 2) * shim::kGatherBytes, sizeof(right));
      c[i] += value(left.a[row / 8 + k / 8 * 2], k % 2) * value(right.b[k / 8], k % 2);
    }
  }
#else
  if constexpr (std::is_same_v<T, bfloat16>) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(in.a[0]), "r"(in.a[1]), "r"(in.a[2]), "r"(in.a[3]), "r"(in.b[0]), "r"(in.b[1]));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(in.a[0]), "r"(in.a[1]), "r"(in.a[2]), "r"(in.a[3]), "r"(in.b[0]), "r"(in.b[1]));
  }
#endif
}

// The 16-bit types: [row][depth], padded so that the lanes of a fragment meet different banks; 4 x 2 warps, each with
// 32 x 32 of C.
template <typename T>
struct GemmTensorTile {
  static constexpr int kDepth = 32, kLine = kDepth + 8;
  static constexpr int kSizeA = kGemmRows * kLine, kSizeB = kGemmColumns * kLine;
  float sums[2][4][4];

  __device__ static void PutA(T* a, int row, int k, T value) { a[row * kLine + k] = value; }
  __device__ static void PutB(T* b, int column, int k, T value) { b[column * kLine + k] = value; }
  __device__ static uint32_t Pair(const T* from) { return *reinterpret_cast<const uint32_t*>(from); }
  __device__ static int Row() { return threadIdx.x / 64 * 32 + threadIdx.x % 32 / 4; }
  __device__ static int Column() { return threadIdx.x / 32 % 2 * 32; }
  __device__ void Clear() {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) sums[i][j][0] = sums[i][j][1] = sums[i][j][2] = sums[i][j][3] = 0;
    }
  }
  __device__ void Multiply(const T* a, const T* b) {
    const int t = threadIdx.x % 4 * 2;
    const T* const left = a + Row() * kLine + t;
    const T* const right = b + (Column() + threadIdx.x % 32 / 4) * kLine + t;
#pragma unroll
    for (int k = 0; k < kDepth; k += 16) {
      uint32_t columns[4][2];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        columns[j][0] = Pair(right + j * 8 * kLine + k);
        columns[j][1] = Pair(right + j * 8 * kLine + k + 8);
      }
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const T* const from = left + i * 16 * kLine + k;
        MmaFragments in = {{Pair(from), Pair(from + 8 * kLine), Pair(from + 8), Pair(from + 8 * kLine + 8)}, {}};
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          in.b[0] = columns[j][0], in.b[1] = columns[j][1];
          Mma<T>(in, sums[i][j]);
        }
      }
    }
  }
  template <typename Store>
  __device__ void ForEach(const Store& store) const {
    const int row = Row(), column = Column() + threadIdx.x % 4 * 2;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
#pragma unroll
        for (int s = 0; s < 4; ++s) store(row + i * 16 + s / 2 * 8, column + j * 8 + s % 2, sums[i][j][s]);
      }
    }
  }
};
template <>
struct GemmTile<bfloat16> : GemmTensorTile<bfloat16> {};
template <>
struct GemmTile<half> : GemmTensorTile<half> {};

// 16 bytes of a line, zeros where it ends: elements [at, at + size) of `length`.
template <typename T>
__device__ inline Vector<T> GemmFetch(const T* line, int64_t at, int64_t length, bool by_vectors) {
  constexpr int kSize = kVectorSize<T>;
  if (by_vectors && at + kSize <= length) return LoadVector<kSize>(line + at);
  Vector<T> vector{};
#pragma unroll
  for (int i = 0; i < kSize; ++i) {
    if (at + i < length) vector.at[i] = line[at + i];
  }
  return vector;
}

// A thread's vectors of one slice of a matrix on their way to shared memory. kExtent: rows of A or columns of B in the
// tile. kDeep: the matrix' lines run along the depth.
template <typename T, int kExtent, bool kDeep>
struct GemmSlice {
  static constexpr int kSize = kVectorSize<T>, kDepth = GemmTile<T>::kDepth;
  static constexpr int kCount = kExtent * kDepth / kSize / kGemmThreads;
  static constexpr int kOfLine = (kDeep ? kDepth : kExtent) / kSize;  // vectors
  Vector<T> vectors[kCount];

  // Element [first, k] of the matrix is the tile's first; `extent` and `end` are where the matrix ends.
  __device__ void Fetch(const GemmMatrix& matrix, const T* data, int64_t first, int64_t extent, int64_t k,
                        int64_t end) {
#pragma unroll
    for (int v = 0; v < kCount; ++v) {
      const int place = threadIdx.x + v * kGemmThreads;
      const int64_t line = (kDeep ? first : k) + place / kOfLine, at = (kDeep ? k : first) + place % kOfLine * kSize;
      vectors[v] = Vector<T>{};
      if (line < (kDeep ? extent : end)) {
        vectors[v] = GemmFetch(data + line * matrix.line, at, kDeep ? end : extent, matrix.by_vectors);
      }
    }
  }
  // Calls put(row or column, depth, element).
  template <typename Put>
  __device__ void ForEach(const Put& put) const {
#pragma unroll
    for (int v = 0; v < kCount; ++v) {
      const int place = threadIdx.x + v * kGemmThreads, line = place / kOfLine, at = place % kOfLine * kSize;
#pragma unroll
      for (int i = 0; i < kSize; ++i) put(kDeep ? line : at + i, kDeep ? at + i : line, vectors[v].at[i]);
    }
  }
};

// kDeepA, kDeepB: lines of A and of B run along the depth.
template <typename T, typename Out, bool kDeepA, bool kDeepB>
__global__ void __launch_bounds__(kGemmThreads, sizeof(T) == 8 ? 1 : 2)
    GemmKernel(Gemm gemm, Divider by_columns, Divider by_rows, Divider by_groups, int64_t tiles,
               const T* __restrict__ a, const T* __restrict__ b, Out* __restrict__ c) {
  using Tile = GemmTile<T>;
  KERASCNN_SHARED(T, shared);
  for (int64_t index = blockIdx.x; index < tiles; index += gridDim.x) {
    int64_t part = index;
    const int64_t column = by_columns.Split(&part) * kGemmColumns, row = by_rows.Split(&part) * kGemmRows;
    const int64_t group = by_groups.Split(&part);
    const int64_t end = min(gemm.depth, (part + 1) * gemm.share);
    const T *const left = a + group * gemm.a.group, *const right = b + group * gemm.b.group;
    Tile tile;
    GemmSlice<T, kGemmRows, kDeepA> slice_a;
    GemmSlice<T, kGemmColumns, kDeepB> slice_b;
    const auto fetch = [&](int64_t k) {
      slice_a.Fetch(gemm.a, left, row, gemm.rows, k, end);
      slice_b.Fetch(gemm.b, right, column, gemm.columns, k, end);
    };
    const auto put = [&](int buffer) {
      T *const to_a = shared + buffer * (Tile::kSizeA + Tile::kSizeB), *const to_b = to_a + Tile::kSizeA;
      slice_a.ForEach([&](int i, int k, T value) { Tile::PutA(to_a, i, k, value); });
      slice_b.ForEach([&](int i, int k, T value) { Tile::PutB(to_b, i, k, value); });
    };
    tile.Clear();
    int buffer = 0;
    fetch(part * gemm.share);
    put(0);
    __syncthreads();
    for (int64_t k = part * gemm.share; k < end; k += Tile::kDepth, buffer ^= 1) {
      const bool more = k + Tile::kDepth < end;
      if (more) fetch(k + Tile::kDepth);
      const T* const from = shared + buffer * (Tile::kSizeA + Tile::kSizeB);
      tile.Multiply(from, from + Tile::kSizeA);
      if (more) put(buffer ^ 1);
      __syncthreads();
    }
    Out* const to = c + group * gemm.c_group + part * gemm.c_part;
    tile.ForEach([&](int i, int j, Compute<T> sum) {
      if (row + i >= gemm.rows || column + j >= gemm.columns) return;
      Out* const at = to + (row + i) * gemm.c_line + column + j;
      *at = FromCompute<Out>(gemm.add ? sum + ToCompute(*at) : sum);
    });
  }
}

template <bool kDeepA, bool kDeepB, typename T, typename Out>
std::string LaunchGemm(const Gemm& gemm, const T* a, const T* b, Out* c, void* stream) {
  using Tile = GemmTile<T>;
  if (gemm.tiles() == 0) return "";
  const Grid grid{gemm.tiles(), kGemmThreads, 2 * (Tile::kSizeA + Tile::kSizeB) * static_cast<int64_t>(sizeof(T))};
  static_assert(2 * (Tile::kSizeA + Tile::kSizeB) * sizeof(T) <= kSharedBytes, "");
  return Launch(GemmKernel<T, Out, kDeepA, kDeepB>, grid, stream, gemm, Divider(gemm.column_tiles()),
                Divider(gemm.row_tiles()), Divider(gemm.groups), gemm.tiles(), a, b, c);
}

}  // namespace kerascnn

#endif  // KERASCNN_COMMON_CUDA_GEMM_H_
