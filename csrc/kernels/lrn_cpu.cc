// Local response normalization on the CPU: work is cut into pieces of rows, each piece goes through lrn_simd.inc.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "common/simd.h"
#include "kernels/lrn.h"

namespace kerascnn {
namespace {

// Radii up to this stage their input in a small buffer; beyond it sums slide along the row.
constexpr int64_t kMaxStagedRadius = 64;

// Elements of each buffer of a tile; five of them in float stay in the first-level cache.
constexpr int64_t kLrnCapacity = 1024;
constexpr int64_t kLrnGuard = 64;  // around it, for windows that reach beyond the first and last row

// How the index space of ParallelFor maps to the array: index = row * blocks + block.
struct LrnPlan {
  int64_t rows, channels, radius;
  int64_t blocks;  // parts of each row, of equal size up to one channel
};

LrnPlan MakePlan(const LrnParams& params, int64_t rows, int64_t channels) {
  // A wider window than the row changes nothing.
  LrnPlan plan{rows, channels, std::min(params.depth_radius, channels - 1), 1};
  if (plan.radius <= kMaxStagedRadius && channels + 4 * plan.radius > kLrnCapacity) {
    const int64_t most = kLrnCapacity - 4 * plan.radius;
    plan.blocks = (channels + most - 1) / most;
  }
  return plan;
}

// What is computed together: channels [first, first + stored) of some rows are read. Counted from `first`, [begin, end)
// are written, and the row is taken to end at `count`, which is beyond `stored` in rows of fewer than `lanes` channels:
// those are padded with zeros, which add nothing to any window.
struct LrnTile {
  LrnTile(const LrnPlan& plan, int64_t piece, int64_t last_piece, int64_t halo, int64_t lanes)
      : row(piece / plan.blocks), radius(plan.radius) {
    const int64_t block = piece % plan.blocks, size = plan.channels / plan.blocks, longer = plan.channels % plan.blocks;
    begin = block * size + std::min(block, longer);
    end = begin + size + (block < longer);
    first = std::max<int64_t>(0, begin - halo);
    stored = std::min(plan.channels, end + halo) - first;
    begin -= first, end -= first;
    count = std::max(stored, lanes);
    if (stored < lanes) end = count;
    rows = plan.blocks > 1 ? 1 : std::min(last_piece - piece, kLrnCapacity / (count + 2 * radius));
    buffered = stored < lanes || row == 0 || row + rows == plan.rows;
  }
  int64_t row, rows, radius, first, stored, count, begin, end;
  bool buffered;
};

enum class LrnPower { kHalf, kThreeQuarters, kOne, kAny };

LrnPower PowerOf(double beta) {
  if (beta == 0.75) return LrnPower::kThreeQuarters;
  return beta == 0.5 ? LrnPower::kHalf : beta == 1 ? LrnPower::kOne : LrnPower::kAny;
}

template <typename C>
struct LrnConstants {
  explicit LrnConstants(const LrnParams& params)
      : bias(std::max(static_cast<C>(params.bias), std::numeric_limits<C>::min())),
        alpha(params.alpha),
        factor(2 * params.alpha * params.beta),
        beta(params.beta),
        beta_high(BitCast<float>(BitCast<uint32_t>(static_cast<float>(params.beta)) & 0xffffff00u)),
        beta_low(params.beta - beta_high) {}
  C bias, alpha, factor, beta;
  float beta_high, beta_low;  // beta as 16 bits, whose products with exponents are exact in float, and the rest
};

template <typename C>
using LaneOf = std::conditional_t<sizeof(C) == 8, int64_t, int32_t>;

// A window sum that slides over the row, in higher precision than T so that what leaves is really gone.
template <typename T>
struct Sliding {
  using Sum = std::conditional_t<sizeof(T) == 8, long double, double>;

  const LrnParams& params;
  const T* x;
  int64_t channels, radius;
  int64_t at = -1;  // the channel whose window is summed
  Sum sum = 0;

  Sum Square(int64_t channel) const {
    if (channel < 0 || channel >= channels) return 0;
    const Sum value = ToCompute(x[channel]);
    return value * value;
  }
  // Moves to the next channel; the first call, at -1, finds the window of channel 0.
  void Next() {
    if (++at == 0) {
      for (int64_t j = 0; j <= radius; ++j) sum += Square(j);
    } else {
      sum += Square(at + radius) - Square(at - radius - 1);
    }
  }
  Sum Scale() const { return params.bias + params.alpha * std::max<Sum>(sum, 0); }
};

template <typename T>
void WideForward(const LrnParams& params, const LrnPlan& plan, const T* x, T* y, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const T* from = x + row * plan.channels;
    T* to = y + row * plan.channels;
    Sliding<T> window{params, from, plan.channels, plan.radius};
    for (int64_t c = 0; c < plan.channels; ++c) {
      window.Next();
      to[c] = FromCompute<T>(ToCompute(from[c]) * std::pow(window.Scale(), -params.beta));
    }
  }
}

// Three windows move together: one over each channel, one `radius` ahead where terms of the second sum enter, one
// behind where they leave.
template <typename T>
void WideGradient(const LrnParams& params, const LrnPlan& plan, const T* x, const T* dy, T* dx, int64_t begin,
                  int64_t end) {
  using Sum = typename Sliding<T>::Sum;
  const int64_t channels = plan.channels, radius = plan.radius;
  for (int64_t row = begin; row < end; ++row) {
    const T* from = x + row * channels;
    const T* gradient = dy + row * channels;
    Sliding<T> here{params, from, channels, radius}, ahead = here, behind = here;
    const auto term = [&](Sliding<T>& window) {
      window.Next();
      if (window.at >= channels) return Sum(0);
      const Sum value = ToCompute(from[window.at]);
      return Sum(ToCompute(gradient[window.at])) * value * std::pow(window.Scale(), Sum(-params.beta - 1));
    };
    Sum sum = 0;
    for (int64_t i = 0; i < radius; ++i) sum += term(ahead);
    for (int64_t c = 0; c < channels; ++c) {
      sum += term(ahead);
      if (c > radius) sum -= term(behind);
      here.Next();
      const Sum direct = Sum(ToCompute(gradient[c])) * std::pow(here.Scale(), Sum(-params.beta));
      const Sum value = ToCompute(from[c]);
      dx[row * channels + c] = FromCompute<T>(direct - 2 * params.alpha * params.beta * value * sum);
    }
  }
}

}  // namespace
}  // namespace kerascnn

#define KERASCNN_SIMD_FILE "common/vector.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/lrn_power.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/lrn_simd.inc"
#include "common/simd_foreach.h"

namespace kerascnn {

template <typename T>
void LrnForward(const LrnParams& params, int64_t rows, int64_t channels, const T* x, T* y,
                const ParallelFor& parallel) {
  if (rows == 0 || channels == 0) return;
  const LrnPlan plan = MakePlan(params, rows, channels);
  const bool wide = plan.radius > kMaxStagedRadius;
  parallel.Run(rows * plan.blocks, plan.channels / plan.blocks * (wide ? 60 : 2), [&](int64_t begin, int64_t end) {
    if (wide) {
      WideForward(params, plan, x, y, begin, end);
    } else {
      KERASCNN_SIMD_CALL(LrnForwardPieces(params, plan, x, y, begin, end));
    }
  });
}

template <typename T>
void LrnGradient(const LrnParams& params, int64_t rows, int64_t channels, const T* x, const T* dy, T* dx,
                 const ParallelFor& parallel) {
  if (rows == 0 || channels == 0) return;
  const LrnPlan plan = MakePlan(params, rows, channels);
  const bool wide = plan.radius > kMaxStagedRadius;
  parallel.Run(rows * plan.blocks, plan.channels / plan.blocks * (wide ? 200 : 4), [&](int64_t begin, int64_t end) {
    if (wide) {
      WideGradient(params, plan, x, dy, dx, begin, end);
    } else {
      KERASCNN_SIMD_CALL(LrnGradientPieces(params, plan, x, dy, dx, begin, end));
    }
  });
}

#define KERASCNN_INSTANTIATE(T)                                                                      \
  template void LrnForward<T>(const LrnParams&, int64_t, int64_t, const T*, T*, const ParallelFor&); \
  template void LrnGradient<T>(const LrnParams&, int64_t, int64_t, const T*, const T*, T*, const ParallelFor&)
KERASCNN_INSTANTIATE(float);
KERASCNN_INSTANTIATE(double);
KERASCNN_INSTANTIATE(bfloat16);
KERASCNN_INSTANTIATE(half);
#undef KERASCNN_INSTANTIATE

}  // namespace kerascnn
