// Local response normalization on a CUDA device: one pass over memory each way.
//
// * LrnVectors, for the usual radii: every lane holds 16 bytes of a row and gets its neighbors' squares by shuffles.
// The
//   first and last lanes of a warp are there for their neighbors only; the next warp loads them again, from the cache.
// * LrnTile, for other radii and for rows that are no whole vectors: the same through shared memory.
// * LrnWide..., for windows that do not fit there: sums over the cached row; the gradient's terms take a pass of their
// own.
#include "common/cuda_launch.h"
#include "common/cuda_vector.h"
#include "kernels/lrn_cuda.h"

namespace kerascnn {
namespace {

constexpr int kThreads = 256;
constexpr int kTile = 1024;                // elements whose results a block of LrnTile writes
constexpr int kMaxStagedRadius = 64;       // of LrnTile
constexpr int64_t kMaxChannels = 1 << 30;  // positions in a row fit 32 bits; LrnWide has no limit

enum class Power { kAny, kHalf, kThreeQuarters, kOne };

template <typename R>
struct Constants {
  R bias, alpha, beta, slope;  // slope = 2 alpha beta
  Power power;
  explicit Constants(const LrnParams& params)
      : bias(static_cast<R>(params.bias)),
        alpha(static_cast<R>(params.alpha)),
        beta(static_cast<R>(params.beta)),
        slope(static_cast<R>(2 * params.alpha * params.beta)),
        power(params.beta == 0.75  ? Power::kThreeQuarters
              : params.beta == 0.5 ? Power::kHalf
              : params.beta == 1   ? Power::kOne
                                   : Power::kAny) {}
};

// scale^-beta of a positive scale. pow() looks after more cases and takes so many registers that they spill.
__device__ inline float NegativePower(float scale, float beta) { return exp2f(-beta * log2f(scale)); }
__device__ inline double NegativePower(double scale, double beta) { return exp2(-beta * log2(scale)); }

// scale^-beta for each of kCount scales.
template <int kCount, typename R>
__device__ void Powers(const Constants<R>& constants, const R* scale, R* power) {
  switch (constants.power) {
    case Power::kThreeQuarters:
#pragma unroll
      for (int k = 0; k < kCount; ++k) {
        const R root = RootReciprocal(scale[k]);
        power[k] = root * Root(root);
      }
      break;
    case Power::kHalf:
#pragma unroll
      for (int k = 0; k < kCount; ++k) power[k] = RootReciprocal(scale[k]);
      break;
    case Power::kOne:
#pragma unroll
      for (int k = 0; k < kCount; ++k) power[k] = Reciprocal(scale[k]);
      break;
    case Power::kAny:
      for (int k = 0; k < kCount; ++k) power[k] = NegativePower(scale[k], constants.beta);
  }
}

// sums[k] = sum of values over the window around element k, across lanes; `place` is the place of this lane's vector in
// a row of row_vectors. Lanes less than ceil(kRadius / kSize) from an end of the warp get wrong sums.
template <int kSize, int kRadius, typename R>
__device__ void WindowSums(const R* values, int place, int row_vectors, R* sums) {
  constexpr int kReach = (kRadius + kSize - 1) / kSize;
#pragma unroll
  for (int k = 0; k < kSize; ++k) {
    sums[k] = 0;
#pragma unroll
    for (int other = 0; other < kSize; ++other) {
      if (other - k <= kRadius && k - other <= kRadius) sums[k] += values[other];
    }
  }
#pragma unroll
  for (int vector = 1; vector <= kReach; ++vector) {
    const bool has_left = place >= vector, has_right = place + vector < row_vectors;
#pragma unroll
    for (int other = 0; other < kSize; ++other) {
      const int behind = vector * kSize - other, ahead = vector * kSize + other;  // from this vector's element 0
      if (behind <= kRadius) {
        const R left = __shfl_up_sync(kAllLanes, values[other], vector);
#pragma unroll
        for (int k = 0; k < kSize; ++k) {
          if (behind + k <= kRadius) sums[k] += has_left ? left : R(0);
        }
      }
      if (ahead - (kSize - 1) <= kRadius) {
        const R right = __shfl_down_sync(kAllLanes, values[other], vector);
#pragma unroll
        for (int k = 0; k < kSize; ++k) {
          if (ahead - k <= kRadius) sums[k] += has_right ? right : R(0);
        }
      }
    }
  }
}

// `vectors` of 16 bytes in all, row_vectors in a row. A warp works on kChunks neighboring pieces, each of which gives
// the results of the lanes between its outer kHalo.
template <typename T, int kRadius, bool kGradient>
__global__ void __launch_bounds__(kThreads)
    LrnVectors(Constants<Compute<T>> constants, int64_t vectors, int row_vectors, const T* __restrict__ x,
               const T* __restrict__ dy, T* __restrict__ result) {
  using R = Compute<T>;
  constexpr int kSize = kVectorSize<T>, kReach = (kRadius + kSize - 1) / kSize;
  constexpr int kHalo = kGradient ? 2 * kReach : kReach, kUseful = kWarp - 2 * kHalo, kChunks = kGradient ? 2 : 4;
  const int lane = threadIdx.x % kWarp;
  const int64_t step = GlobalThreads() / kWarp * kChunks * kUseful;
  for (int64_t first = GlobalThread() / kWarp * kChunks * kUseful; first < vectors; first += step) {
    const unsigned start = static_cast<unsigned>((first + row_vectors + lane - kHalo % row_vectors) % row_vectors);
    Vector<T> xs[kChunks], dys[kChunks];
#pragma unroll
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const int64_t at = first + chunk * kUseful + lane - kHalo;
      xs[chunk] = dys[chunk] = Vector<T>{};
      if (at >= 0 && at < vectors) {
        xs[chunk] = LoadVector<kSize>(x + at * kSize);
        if (kGradient) dys[chunk] = LoadVector<kSize>(dy + at * kSize);
      }
    }
#pragma unroll
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const int place = static_cast<int>((start + chunk * kUseful) % row_vectors);
      R value[kSize], scale[kSize], power[kSize], terms[kSize], sums[kSize];
#pragma unroll
      for (int k = 0; k < kSize; ++k) {
        value[k] = ToCompute(xs[chunk].at[k]);
        terms[k] = value[k] * value[k];
      }
      WindowSums<kSize, kRadius>(terms, place, row_vectors, scale);
#pragma unroll
      for (int k = 0; k < kSize; ++k) scale[k] = constants.bias + constants.alpha * scale[k];
      Powers<kSize>(constants, scale, power);
      Vector<T> out;
      if (kGradient) {
#pragma unroll
        for (int k = 0; k < kSize; ++k) {
          power[k] *= ToCompute(dys[chunk].at[k]);
          terms[k] = power[k] * value[k] * Reciprocal(scale[k]);
        }
        WindowSums<kSize, kRadius>(terms, place, row_vectors, sums);
#pragma unroll
        for (int k = 0; k < kSize; ++k) {
          out.at[k] = FromCompute<T>(power[k] - constants.slope * value[k] * sums[k]);
        }
      } else {
#pragma unroll
        for (int k = 0; k < kSize; ++k) out.at[k] = FromCompute<T>(value[k] * power[k]);
      }
      const int64_t at = first + chunk * kUseful + lane - kHalo;
      if (lane >= kHalo && lane < kWarp - kHalo && at < vectors) StoreVector(out, result + at * kSize);
    }
  }
}

// Element i of the tile is element first + i of the tensor; places before and after the tile are staged as far as its
// windows reach. Windows end with the row, so that they never leave the tensor.
struct TileRow {
  int64_t first, elements;
  unsigned start, channels;
  int radius;
  __device__ bool Has(int i) const { return first + i >= 0 && first + i < elements; }
  template <typename R, typename Term>
  __device__ R Sum(int i, const Term& term) const {
    // A multiple of `channels` is added because i may be negative.
    const unsigned reach = 2 * kMaxStagedRadius / channels * channels + channels;
    const unsigned channel = (start + reach + i) % channels;
    const int begin = i - min(static_cast<unsigned>(radius), channel);
    const int end = i + min(static_cast<unsigned>(radius), channels - 1 - channel);
    R sum = 0;
    for (int j = begin; j <= end; ++j) sum += term(j);
    return sum;
  }
};

template <typename T, bool kGradient>
__global__ void __launch_bounds__(kThreads)
    LrnTile(Constants<Compute<T>> constants, int64_t elements, unsigned channels, int radius, const T* __restrict__ x,
            const T* __restrict__ dy, T* __restrict__ result) {
  using R = Compute<T>;
  const int reach = kGradient ? 2 * radius : radius, thread = static_cast<int>(threadIdx.x);
  KERASCNN_SHARED(R, shared);
  R* const xs = shared + reach;                           // elements [-reach, kTile + reach)
  R* const direct = shared + kTile + 2 * reach + radius;  // dy scale^-beta of [-radius, kTile + radius)
  R* const terms = direct + kTile + 2 * radius;           // dy x scale^(-beta - 1), likewise
  const auto square = [&](int i) { return xs[i] * xs[i]; };
  for (int64_t first = int64_t(blockIdx.x) * kTile; first < elements; first += int64_t(gridDim.x) * kTile) {
    const TileRow row{first, elements, static_cast<unsigned>(first % channels), channels, radius};
    for (int i = thread - reach; i < kTile + reach; i += kThreads) {
      if (row.Has(i)) xs[i] = ToCompute(x[first + i]);
    }
    __syncthreads();
    if (kGradient) {
      for (int i = thread - radius; i < kTile + radius; i += kThreads) {
        if (!row.Has(i)) continue;
        const R scale = constants.bias + constants.alpha * row.template Sum<R>(i, square);
        R power;
        Powers<1>(constants, &scale, &power);
        direct[i] = power * ToCompute(dy[first + i]);
        terms[i] = direct[i] * xs[i] * Reciprocal(scale);
      }
      __syncthreads();
    }
    for (int i = thread; i < kTile && row.Has(i); i += kThreads) {
      if (kGradient) {
        const R sum = row.template Sum<R>(i, [&](int j) { return terms[j]; });
        result[first + i] = FromCompute<T>(direct[i] - constants.slope * xs[i] * sum);
      } else {
        const R scale = constants.bias + constants.alpha * row.template Sum<R>(i, square);
        R power;
        Powers<1>(constants, &scale, &power);
        result[first + i] = FromCompute<T>(xs[i] * power);
      }
    }
    __syncthreads();
  }
}

// Sum of term(j) over the window of element i, in parts so that long sums keep their precision.
template <typename R, typename Term>
__device__ R WideSum(int64_t i, int64_t channels, int64_t radius, const Term& term) {
  constexpr int64_t kPart = 64;
  const int64_t channel = i % channels;
  const int64_t end = i + min(radius, channels - 1 - channel) + 1;
  R sum = 0;
  for (int64_t j = i - min(radius, channel); j < end; j += kPart) {
    R part = 0;
    for (int64_t k = j; k < min(j + kPart, end); ++k) part += term(k);
    sum += part;
  }
  return sum;
}

template <typename T, bool kTerms>
__global__ void __launch_bounds__(kThreads)
    LrnWideForward(Constants<Compute<T>> constants, int64_t elements, int64_t channels, int64_t radius,
                   const T* __restrict__ x, const T* __restrict__ dy, T* __restrict__ y,
                   Compute<T>* __restrict__ terms) {
  using R = Compute<T>;
  for (int64_t i = GlobalThread(); i < elements; i += GlobalThreads()) {
    const R sum = WideSum<R>(i, channels, radius, [&](int64_t j) { return ToCompute(x[j]) * ToCompute(x[j]); });
    const R scale = constants.bias + constants.alpha * sum, value = ToCompute(x[i]);
    R power;
    Powers<1>(constants, &scale, &power);
    if (kTerms) {
      // Both factors that the gradient needs: scale^-beta follows from the term unless it is 0 / 0, so both are kept.
      terms[i] = ToCompute(dy[i]) * power * value * Reciprocal(scale);
      terms[elements + i] = ToCompute(dy[i]) * power;
    } else {
      y[i] = FromCompute<T>(value * power);
    }
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    LrnWideGradient(Constants<Compute<T>> constants, int64_t elements, int64_t channels, int64_t radius,
                    const T* __restrict__ x, const Compute<T>* __restrict__ terms, T* __restrict__ dx) {
  using R = Compute<T>;
  for (int64_t i = GlobalThread(); i < elements; i += GlobalThreads()) {
    const R sum = WideSum<R>(i, channels, radius, [&](int64_t j) { return terms[j]; });
    dx[i] = FromCompute<T>(terms[elements + i] - constants.slope * ToCompute(x[i]) * sum);
  }
}

bool IsWide(int64_t channels, int64_t radius) { return radius > kMaxStagedRadius || channels > kMaxChannels; }

template <typename T, int kRadius, bool kGradient>
std::string LaunchVectors(const LrnParams& params, int64_t vectors, int64_t row_vectors, const T* x, const T* dy,
                          T* result, void* stream) {
  constexpr int kReach = (kRadius + kVectorSize<T> - 1) / kVectorSize<T>;
  constexpr int64_t kPerWarp = kGradient ? 2 * (kWarp - 4 * kReach) : 4 * (kWarp - 2 * kReach);
  const Grid grid{BlocksFor(vectors, kPerWarp * (kThreads / kWarp)), kThreads};
  return Launch(LrnVectors<T, kRadius, kGradient>, grid, stream, Constants<Compute<T>>(params), vectors,
                static_cast<int>(row_vectors), x, dy, result);
}

template <typename T, bool kGradient>
std::string LaunchStaged(const LrnParams& params, int64_t rows, int64_t channels, const T* x, const T* dy, T* result,
                         void* stream) {
  using R = Compute<T>;
  const int64_t elements = rows * channels, radius = std::min(params.depth_radius, channels - 1);
  constexpr int64_t kSize = kVectorSize<T>;
  if (channels % kSize == 0 && IsAligned(x, 16) && IsAligned(result, 16) && (!kGradient || IsAligned(dy, 16))) {
    const int64_t vectors = elements / kSize, row_vectors = channels / kSize;
    if (radius == 2) return LaunchVectors<T, 2, kGradient>(params, vectors, row_vectors, x, dy, result, stream);
    if (radius == 5) return LaunchVectors<T, 5, kGradient>(params, vectors, row_vectors, x, dy, result, stream);
  }
  const int64_t staged = kGradient ? 3 * kTile + 8 * radius : kTile + 2 * radius;
  const Grid grid{BlocksFor(elements, kTile), kThreads, staged * static_cast<int64_t>(sizeof(R))};
  return Launch(LrnTile<T, kGradient>, grid, stream, Constants<R>(params), elements, static_cast<unsigned>(channels),
                static_cast<int>(radius), x, dy, result);
}

}  // namespace

template <typename T>
std::string LrnForwardCuda(const LrnParams& params, int64_t rows, int64_t channels, const T* x, T* y, void* stream) {
  if (rows == 0 || channels == 0) return "";
  const int64_t radius = std::min(params.depth_radius, channels - 1), elements = rows * channels;
  if (!IsWide(channels, radius)) {
    return LaunchStaged<T, false>(params, rows, channels, x, static_cast<const T*>(nullptr), y, stream);
  }
  using R = Compute<T>;
  return Launch(LrnWideForward<T, false>, {BlocksFor(elements, kThreads), kThreads}, stream, Constants<R>(params),
                elements, channels, radius, x, static_cast<const T*>(nullptr), y, static_cast<R*>(nullptr));
}

int64_t LrnGradientCudaScratchBytes(const LrnParams& params, int64_t rows, int64_t channels, int element_bytes) {
  if (!IsWide(channels, std::min(params.depth_radius, channels - 1))) return 0;
  return 2 * rows * channels * (element_bytes == 8 ? 8 : 4);
}

template <typename T>
std::string LrnGradientCuda(const LrnParams& params, int64_t rows, int64_t channels, const T* x, const T* dy, T* dx,
                            void* scratch, void* stream) {
  if (rows == 0 || channels == 0) return "";
  const int64_t radius = std::min(params.depth_radius, channels - 1), elements = rows * channels;
  if (!IsWide(channels, radius)) return LaunchStaged<T, true>(params, rows, channels, x, dy, dx, stream);
  using R = Compute<T>;
  const Constants<R> constants(params);
  const Grid grid{BlocksFor(elements, kThreads), kThreads};
  R* const terms = static_cast<R*>(scratch);
  const std::string wrong = Launch(LrnWideForward<T, true>, grid, stream, constants, elements, channels, radius, x, dy,
                                   static_cast<T*>(nullptr), terms);
  if (!wrong.empty()) return wrong;
  return Launch(LrnWideGradient<T>, grid, stream, constants, elements, channels, radius, x, terms, dx);
}

#define KERASCNN_INSTANTIATE(T)                                                                    \
  template std::string LrnForwardCuda<T>(const LrnParams&, int64_t, int64_t, const T*, T*, void*); \
  template std::string LrnGradientCuda<T>(const LrnParams&, int64_t, int64_t, const T*, const T*, T*, void*, void*)
KERASCNN_INSTANTIATE(float);
KERASCNN_INSTANTIATE(double);
KERASCNN_INSTANTIATE(bfloat16);
KERASCNN_INSTANTIATE(half);
#undef KERASCNN_INSTANTIATE

}  // namespace kerascnn
