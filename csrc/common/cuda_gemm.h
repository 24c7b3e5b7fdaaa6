// Matrix products on a CUDA device: C = A B, for several groups at a time, in parts along the depth where asked for.
//
// A block has a tile of kGemmRows x kGemmColumns of C in registers and walks over the depth; while it multiplies one
// slice of A and B in shared memory, the next is on its way from memory to registers. Slices keep the order of their
// matrix, so that all stores are vectors. double multiplies element by element. The others use tensor cores: the 16-bit
// types as they are, with sums in float; float as three products of tf32 (11 bits): every number is split in two, and
// only the product of the small halves is left out. A tensor core rounds its sums towards zero, so float's are made
// anew every 8 numbers deep and added up outside.
#ifndef KERASCNN_COMMON_CUDA_GEMM_H_
#define KERASCNN_COMMON_CUDA_GEMM_H_

#include <type_traits>

#include "common/cuda_mma.h"
#include "common/cuda_vector.h"

namespace kerascnn {

constexpr int kGemmThreads = 256, kGemmRows = 128, kGemmColumns = 64;

// Where a matrix lies: lines of neighboring elements. A line runs along the depth, or along the rows (of A) or columns
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

// Slices in shared memory, and a thread's part of the product. kDeepA, kDeepB: lines of A and of B run along the depth.
//
// double: [depth][row], padded; thread (y, x) of 16 x 16 has rows 8 y ... and columns 4 x ....
template <typename T, bool kDeepA, bool kDeepB>
struct GemmTile {
  static constexpr int kDepth = 8, kLineA = kGemmRows + 4, kLineB = kGemmColumns + 4;
  static constexpr int kSizeA = kDepth * kLineA, kSizeB = kDepth * kLineB;
  static constexpr int kMine = 8, kMineColumns = 4;
  T sums[kMine][kMineColumns];

  template <bool kDeep>
  __device__ static void Put(T* to, int length, int line, int at, const Vector<T>& vector) {
#pragma unroll
    for (int i = 0; i < kVectorSize<T>; ++i)
      to[kDeep ? (at + i) * length + line : line * length + at + i] = vector.at[i];
  }
  __device__ static void PutA(T* a, int line, int at, const Vector<T>& v) { Put<kDeepA>(a, kLineA, line, at, v); }
  __device__ static void PutB(T* b, int line, int at, const Vector<T>& v) { Put<kDeepB>(b, kLineB, line, at, v); }
  __device__ void Clear() {
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
#pragma unroll
      for (int j = 0; j < kMineColumns; ++j) sums[i][j] = 0;
    }
  }
  __device__ void Multiply(const T* a, const T* b) {
    const T *const rows = a + threadIdx.x / 16 * kMine, *const columns = b + threadIdx.x % 16 * kMineColumns;
#pragma unroll
    for (int k = 0; k < kDepth; ++k) {
      T left[kMine], right[kMineColumns];
#pragma unroll
      for (int i = 0; i < kMine; ++i) left[i] = rows[k * kLineA + i];
#pragma unroll
      for (int j = 0; j < kMineColumns; ++j) right[j] = columns[k * kLineB + j];
#pragma unroll
      for (int i = 0; i < kMine; ++i) {
#pragma unroll
        for (int j = 0; j < kMineColumns; ++j) sums[i][j] += left[i] * right[j];
      }
    }
  }
  // Calls store(row, column, sum, sum of the next column) for every two elements of this thread.
  template <typename Store>
  __device__ void ForEach(const Store& store) const {
    const int row = threadIdx.x / 16 * kMine, column = threadIdx.x % 16 * kMineColumns;
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
#pragma unroll
      for (int j = 0; j < kMineColumns; j += 2) store(row + i, column + j, sums[i][j], sums[i][j + 1]);
    }
  }
};

// What the tiles for tensor cores share: 4 x 2 warps, each with 32 x 32 of C as 2 x 4 blocks of 16 x 8. Lane 4 g + t
// has C[g][2t], [g][2t + 1], [g + 8][2t], [g + 8][2t + 1] of a block. Lines are padded so that the lanes of a fragment
// meet different banks.
template <typename T, bool kDeepA, bool kDeepB, int kDeep, int kPadDeep, int kPadWide>
struct GemmTensorTile {
  static constexpr int kDepth = kDeep;
  static constexpr int kLineA = kDeepA ? kDepth + kPadDeep : kGemmRows + kPadWide;
  static constexpr int kLineB = kDeepB ? kDepth + kPadDeep : kGemmColumns + kPadWide;
  static constexpr int kSizeA = (kDeepA ? kGemmRows : kDepth) * kLineA;
  static constexpr int kSizeB = (kDeepB ? kGemmColumns : kDepth) * kLineB;
  float sums[2][4][4];

  __device__ static void PutA(T* a, int line, int at, const Vector<T>& v) { StoreVector(v, a + line * kLineA + at); }
  __device__ static void PutB(T* b, int line, int at, const Vector<T>& v) { StoreVector(v, b + line * kLineB + at); }
  __device__ static int WarpRow() { return threadIdx.x / 64 * 32; }
  __device__ static int WarpColumn() { return threadIdx.x / 32 % 2 * 32; }
  __device__ void Clear() {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) sums[i][j][0] = sums[i][j][1] = sums[i][j][2] = sums[i][j][3] = 0;
    }
  }
  // The thread's element e in the tile; their order is that of `sums`.
  static constexpr int kElements = 32;
  __device__ static int Row(int e) { return WarpRow() + threadIdx.x % 32 / 4 + e / 16 * 16 + e / 2 % 2 * 8; }
  __device__ static int Column(int e) { return WarpColumn() + threadIdx.x % 4 * 2 + e / 4 % 4 * 8 + e % 2; }
  __device__ bool HasNan() const {
    bool has = false;
    ForEach([&](int, int, float first, float second) { has |= first != first || second != second; });
    return has;
  }
  template <typename Store>
  __device__ void ForEach(const Store& store) const {
#pragma unroll
    for (int e = 0; e < kElements; e += 2) {
      const float* const two = &sums[e / 16][e / 4 % 4][e % 4];
      store(Row(e), Column(e), two[0], two[1]);
    }
  }
};

template <typename T, bool kDeepA, bool kDeepB>
struct GemmHalfTile : GemmTensorTile<T, kDeepA, kDeepB, 32, 8, 8> {
  using Base = GemmTensorTile<T, kDeepA, kDeepB, 32, 8, 8>;
  __device__ void Multiply(const T* a, const T* b) {
    const int lane = threadIdx.x % 32, inner = lane % 8, second = lane / 8 % 2 * 8, third = lane / 16 * 8;
#pragma unroll
    for (int k = 0; k < Base::kDepth; k += 16) {
      uint32_t columns[2][4];  // of 16 columns: [0, 8) and their second half of the depth, then [8, 16)
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int column = Base::WarpColumn() + j * 16 + third, depth = k + second;
        LoadMatrices<!kDeepB>(
            kDeepB ? b + (column + inner) * Base::kLineB + depth : b + (depth + inner) * Base::kLineB + column,
            columns[j]);
      }
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int row = Base::WarpRow() + i * 16 + second, depth = k + third;
        uint32_t rows[4];  // [0, 8), [8, 16), and their second half of the depth
        LoadMatrices<!kDeepA>(
            kDeepA ? a + (row + inner) * Base::kLineA + depth : a + (depth + inner) * Base::kLineA + row, rows);
#pragma unroll
        for (int j = 0; j < 4; ++j) MultiplyAdd<T>(rows, columns[j / 2] + j % 2 * 2, this->sums[i][j]);
      }
    }
  }
};
template <bool kDeepA, bool kDeepB>
struct GemmTile<bfloat16, kDeepA, kDeepB> : GemmHalfTile<bfloat16, kDeepA, kDeepB> {};
template <bool kDeepA, bool kDeepB>
struct GemmTile<half, kDeepA, kDeepB> : GemmHalfTile<half, kDeepA, kDeepB> {};

template <bool kDeepA, bool kDeepB>
struct GemmTile<float, kDeepA, kDeepB> : GemmTensorTile<float, kDeepA, kDeepB, 16, 4, 8> {
  using Base = GemmTensorTile<float, kDeepA, kDeepB, 16, 4, 8>;
  template <int kCount>
  struct Split {
    uint32_t large[kCount], small[kCount];
    __device__ void Set(int i, float x) {
      large[i] = BitCast<uint32_t>(x) & 0xffffe000u;
      small[i] = BitCast<uint32_t>(x - BitCast<float>(large[i])) & 0xffffe000u;
    }
  };
  __device__ static float A(const float* a, int row, int k) {
    return a[kDeepA ? row * Base::kLineA + k : k * Base::kLineA + row];
  }
  __device__ static float B(const float* b, int k, int column) {
    return b[kDeepB ? column * Base::kLineB + k : k * Base::kLineB + column];
  }
  __device__ void Multiply(const float* a, const float* b) {
    const int row = Base::WarpRow() + threadIdx.x % 32 / 4, column = Base::WarpColumn() + threadIdx.x % 32 / 4;
#pragma unroll 1
    for (int k = threadIdx.x % 4, step = 0; step < Base::kDepth; step += 8, k += 8) {
      Split<2> columns[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
#pragma unroll
        for (int s = 0; s < 2; ++s) columns[j].Set(s, B(b, k + s * 4, column + j * 8));
      }
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        Split<4> rows;
#pragma unroll
        for (int s = 0; s < 4; ++s) rows.Set(s, A(a, row + i * 16 + s % 2 * 8, k + s / 2 * 4));
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          float part[4] = {};
          MultiplyAdd<float>(rows.small, columns[j].large, part);
          MultiplyAdd<float>(rows.large, columns[j].small, part);
          MultiplyAdd<float>(rows.large, columns[j].large, part);
#pragma unroll
          for (int s = 0; s < 4; ++s) this->sums[i][j][s] += part[s];
        }
      }
    }
  }
};

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
  static constexpr int kSize = kVectorSize<T>, kDepth = GemmTile<T, kDeep, kDeep>::kDepth;
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
  // Calls put(line, place in it, vector).
  template <typename Put>
  __device__ void ForEach(const Put& put) const {
#pragma unroll
    for (int v = 0; v < kCount; ++v) {
      const int place = threadIdx.x + v * kGemmThreads;
      put(place / kOfLine, place % kOfLine * kSize, vectors[v]);
    }
  }
};

// An element of C by plain arithmetic, for products of infinities, of which the splitting of floats makes NaN.
template <bool kDeepA, bool kDeepB, typename T>
__device__ Compute<T> GemmElement(const Gemm& gemm, const T* a, const T* b, int64_t row, int64_t column, int64_t begin,
                                  int64_t end) {
  Compute<T> sum = 0;
  for (int64_t k = begin; k < end; ++k) {
    const T left = a[kDeepA ? row * gemm.a.line + k : k * gemm.a.line + row];
    const T right = b[kDeepB ? column * gemm.b.line + k : k * gemm.b.line + column];
    sum += ToCompute(left) * ToCompute(right);
  }
  return sum;
}

template <typename T, typename Out, bool kDeepA, bool kDeepB>
__global__ void __launch_bounds__(kGemmThreads, sizeof(T) == 8 ? 1 : 2)
    GemmKernel(Gemm gemm, Divider by_columns, Divider by_rows, Divider by_groups, int64_t tiles, bool by_pairs,
               const T* __restrict__ a, const T* __restrict__ b, Out* __restrict__ c) {
  using Tile = GemmTile<T, kDeepA, kDeepB>;
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
      slice_a.ForEach([&](int line, int at, const Vector<T>& v) { Tile::PutA(to_a, line, at, v); });
      slice_b.ForEach([&](int line, int at, const Vector<T>& v) { Tile::PutB(to_b, line, at, v); });
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
    if constexpr (std::is_same_v<T, float>) {
      if (tile.HasNan()) {
#pragma unroll 1
        for (int e = 0; e < Tile::kElements; ++e) {
          const int64_t i = row + Tile::Row(e), j = column + Tile::Column(e);
          if (i >= gemm.rows || j >= gemm.columns) continue;
          const T sum = GemmElement<kDeepA, kDeepB>(gemm, left, right, i, j, part * gemm.share, end);
          Out* const at = to + i * gemm.c_line + j;
          *at = gemm.add ? sum + *at : sum;
        }
        continue;
      }
    }
    tile.ForEach([&](int i, int j, Compute<T> first, Compute<T> second) {
      if (row + i >= gemm.rows || column + j >= gemm.columns) return;
      Out* const at = to + (row + i) * gemm.c_line + column + j;
      const bool two = column + j + 1 < gemm.columns;
      if (gemm.add) first += ToCompute(at[0]);
      if (gemm.add && two) second += ToCompute(at[1]);
      const Vector<Out, 2> pair = {FromCompute<Out>(first), FromCompute<Out>(second)};
      if (by_pairs && two) return StoreVector(pair, at);
      at[0] = pair.at[0];
      if (two) at[1] = pair.at[1];
    });
  }
}

template <bool kDeepA, bool kDeepB, typename T, typename Out>
std::string LaunchGemm(const Gemm& gemm, const T* a, const T* b, Out* c, void* stream) {
  using Tile = GemmTile<T, kDeepA, kDeepB>;
  if (gemm.tiles() == 0) return "";
  const Grid grid{gemm.tiles(), kGemmThreads, 2 * (Tile::kSizeA + Tile::kSizeB) * static_cast<int64_t>(sizeof(T))};
  static_assert(2 * (Tile::kSizeA + Tile::kSizeB) * sizeof(T) <= kSharedBytes, "");
  const bool by_pairs =
      gemm.c_line % 2 == 0 && gemm.c_group % 2 == 0 && gemm.c_part % 2 == 0 && IsAligned(c, 2 * sizeof(Out));
  return Launch(GemmKernel<T, Out, kDeepA, kDeepB>, grid, stream, gemm, Divider(gemm.column_tiles()),
                Divider(gemm.row_tiles()), Divider(gemm.groups), gemm.tiles(), by_pairs, a, b, c);
}

}  // namespace kerascnn

#endif  // KERASCNN_COMMON_CUDA_GEMM_H_
