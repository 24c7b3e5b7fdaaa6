// Depthwise convolution on the CPU: what each thread gets, and which rows and columns it visits. The loops over pixels
// are in depthwise2d_simd.inc.
#include <algorithm>
#include <type_traits>
#include <utility>

#include "common/simd.h"
#include "common/types.h"
#include "kernels/conv2d_plan.h"
#include "kernels/depthwise2d.h"

namespace kerascnn {
namespace {

constexpr int64_t kChunkBytes = 32 << 10;  // of what a tile of one task reads: a core's first-level cache holds it
constexpr int64_t kTileTargets = 8;        // of the widest level
constexpr int64_t kTasks = 32;             // enough for threads to share evenly; a fixed number, as bits depend on it

// Targets q < count of an axis lie at target_first + q * target_step. Tap j < taps of the q-th is the source at
// source_first + u * source_step for u = q * stride + j, which is in the image where low <= u < high; its weight is tap
// filter_first + j * filter_step. So neighboring targets share sources, whatever stride and dilation are.
struct DepthwiseRun {
  int64_t count, target_first, target_step, source_first, source_step, stride, low, high, taps, filter_first,
      filter_step;
};

// One spatial axis as runs, every target in one of them.
struct DepthwiseAxis {
  ConvAxis axis;
  int64_t split;  // a dilated source is shared by every split-th target only

  DepthwiseAxis(int64_t x_size, int64_t y_size, int64_t kernel, int64_t stride, int64_t dilation, int64_t before,
                bool gradient)
      : axis(ConvAxis::Make(x_size, y_size, kernel, stride, dilation, before, gradient)) {
    int64_t g = axis.source_stride, rest = axis.source_step;
    while (rest != 0) std::swap(g %= rest, rest);
    split = axis.source_step / g;
  }
  int64_t phases() const { return axis.phases; }
  // No more than there are targets, however large the dilation.
  int64_t runs() const { return std::min(split, axis.rows()); }
  DepthwiseRun Run(int64_t phase, int64_t i) const {
    const ConvPhase p = axis.Phase(phase);
    DepthwiseRun run;
    run.count = p.targets > i ? CeilDiv(p.targets - i, split) : 0;
    run.target_first = phase + i * axis.phases, run.target_step = split * axis.phases;
    run.source_first = p.first + i * axis.source_stride, run.source_step = axis.source_step;
    run.stride = axis.source_stride * split / axis.source_step;
    run.low = CeilDiv(-run.source_first, run.source_step);
    run.high = CeilDiv(axis.source_size - run.source_first, run.source_step);
    run.taps = p.taps, run.filter_first = p.filter_first, run.filter_step = p.filter_step;
    return run;
  }
};

// Tap rows [low, high) of the target row whose first tap reads source row `from`, `step` apart: those in the image.
inline std::pair<int64_t, int64_t> TapsInside(int64_t from, int64_t step, int64_t size, int64_t taps) {
  const int64_t low = std::min(taps, from < 0 ? CeilDiv(-from, step) : 0);
  return {low, std::max(low, std::min(taps, from < size ? (size - 1 - from) / step + 1 : 0))};
}

// What one call of the loops works on: one run of columns of a strip of target rows. Steps are in elements. Target is
// T, Weight const R where targets are computed from sources and weights; const T and R where the filter gradient is.
template <typename Target, typename Weight>
struct DepthwiseStrip {
  const std::remove_const_t<Target>* source;   // row 0, column 0 of the image, first channel
  int64_t source_line, lines;                  // between rows; rows of the image
  int64_t from, advance, tap_lines, tap_rows;  // row of the first tap of the first target row; rows between target rows
                                               // and between taps; tap rows
  int64_t first, step;                         // to unit 0 of the columns (DepthwiseRun), and between units
  int64_t low, high, taps, stride, count;      // as in DepthwiseRun
  Target* target;                              // of the first target
  int64_t target_line, target_step, rows;      // between target rows and neighboring targets; target rows
  Weight* weights;                             // [vector][tap][lane], of the first vector and tap
  int64_t weight_row, weight_tap, weight_vector;
  int64_t channels;  // from `source` and `target` on

  void SetColumns(const DepthwiseRun& run, int64_t pixel) {
    first = run.source_first * pixel, step = run.source_step * pixel;
    low = run.low, high = run.high, taps = run.taps, stride = run.stride, count = run.count;
    target_step = run.target_step * pixel;
  }
};

}  // namespace
}  // namespace kerascnn

#define KERASCNN_SIMD_FILE "common/vector.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/depthwise2d_simd.inc"
#include "common/simd_foreach.h"

namespace kerascnn {
namespace {

// How the channels and the images are shared out. Nothing here depends on the number of threads.
struct DepthwisePlan {
  const Conv2D& conv;
  DepthwiseAxis y, x;
  int64_t channels, lanes, vectors, taps;  // lanes of a vector register, vectors of a pixel, taps of the filter
  int64_t chunk, chunks;                   // vectors of a task, tasks of a strip
  int64_t strip, strips;                   // target rows (of each phase) of a task, strips of an image
  int64_t parts;                           // filter gradient: partial sums

  DepthwisePlan(const Conv2D& c, Conv2DKind kind, int64_t element_bytes)
      : conv(c),
        y(c.height, c.output_height(), c.kernel_height, c.stride_y, c.dilation_y, c.pad_y.before, Gathers(kind)),
        x(c.width, c.output_width(), c.kernel_width, c.stride_x, c.dilation_x, c.pad_x.before, Gathers(kind)),
        channels(c.channels),
        taps(c.kernel_height * c.kernel_width) {
    const int64_t bytes = element_bytes == 8 ? 8 : 4;
    const CpuLevel level = BestCpuLevel();
    lanes = (level == CpuLevel::kAvx512 ? 64 : level == CpuLevel::kAvx2 ? 32 : 16) / bytes;
    vectors = CeilDiv(channels, lanes);
    const int64_t rows = std::max<int64_t>(1, y.axis.rows()), images = std::max<int64_t>(1, c.batch);
    strip = std::max<int64_t>(1, std::min<int64_t>(8, rows / CeilDiv(kTasks, images)));
    strips = CeilDiv(rows, strip);
    const int64_t items = images * strips;
    // A tile's sources, rows of them enough for one more target row, and the weights.
    const int64_t pixels =
        (c.kernel_height + y.axis.source_stride) * (kTileTargets * x.axis.source_stride + c.kernel_width);
    const int64_t fit = kChunkBytes / lanes / (pixels * element_bytes + taps * bytes);
    chunks = CeilDiv(vectors, std::max<int64_t>(1, fit));
    chunks = std::min(vectors, std::max(chunks, kTasks / 2 / items));
    chunk = CeilDiv(vectors, chunks);
    chunks = CeilDiv(vectors, chunk);
    const int64_t worthwhile = c.y_elements() / 16 / c.w_elements();
    parts = std::max<int64_t>(1, std::min({items, CeilDiv(kTasks, chunks), worthwhile}));
  }
  static bool Gathers(Conv2DKind kind) { return kind == Conv2DKind::kInputGradient; }
  int64_t vector_weights() const { return taps * lanes; }
  int64_t first(int64_t task) const { return task % chunks * chunk; }
  int64_t chunk_channels(int64_t first) const { return std::min(chunk * lanes, channels - first * lanes); }
};

}  // namespace

int64_t Depthwise2DScratchBytes(const Conv2D& conv, Conv2DKind kind, int element_bytes) {
  const DepthwisePlan plan(conv, kind, element_bytes);
  const int64_t copies = kind == Conv2DKind::kFilterGradient ? plan.parts : 1;
  if (!(double(copies) * plan.vectors * plan.taps * plan.lanes < 1e17)) return -1;
  return copies * plan.vectors * plan.vector_weights() * (element_bytes == 8 ? 8 : 4);
}

template <typename T>
void Depthwise2D(const Conv2D& conv, Conv2DKind kind, const T* source, const T* w, T* target, void* scratch,
                 const ParallelFor& parallel, const Conv2DEpilogue<T>& epilogue) {
  using R = Compute<T>;
  const DepthwisePlan plan(conv, kind, sizeof(T));
  const ConvAxis &ay = plan.y.axis, &ax = plan.x.axis;
  const int64_t source_line = ax.source_size * plan.channels, vector_weights = plan.vector_weights();
  R* weights = static_cast<R*>(scratch);
  parallel.Run(plan.vectors, 4 * plan.taps, [&](int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end; ++v) {
      R* to = weights + v * vector_weights;
      const int64_t first = v * plan.lanes, count = std::min(plan.lanes, plan.channels - first);
      KERASCNN_SIMD_CALL(DepthwisePack(w + first, plan.channels, plan.taps, count, to));
    }
  });
  const int64_t cost = plan.strip * ax.target_size * plan.chunk * (plan.taps / (ay.source_step * ax.source_step) + 8);
  parallel.Run(conv.batch * plan.strips * plan.chunks, cost, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t image = task / plan.chunks / plan.strips, q = task / plan.chunks % plan.strips * plan.strip;
      const int64_t vector = plan.first(task), channel = vector * plan.lanes;
      DepthwiseStrip<T, const R> strip;
      strip.source = source + image * ay.source_size * source_line + channel;
      strip.source_line = source_line, strip.lines = ay.source_size;
      strip.advance = ay.source_stride, strip.tap_lines = ay.source_step;
      strip.weight_vector = vector_weights, strip.channels = plan.chunk_channels(vector);
      strip.target_line = ay.phases * ax.target_size * plan.channels;
      for (int64_t py = 0; py < ay.phases; ++py) {
        const ConvPhase y = ay.Phase(py);
        strip.from = q * ay.source_stride + y.first, strip.tap_rows = y.taps;
        strip.rows = std::min(plan.strip, y.targets - q);
        strip.weight_row = y.filter_step * conv.kernel_width * plan.lanes;
        const int64_t line = image * ay.target_size + py + q * ay.phases;
        for (int64_t px = 0; px < ax.phases; ++px) {
          for (int64_t r = 0; r < plan.x.runs(); ++r) {
            const DepthwiseRun x = plan.x.Run(px, r);
            strip.SetColumns(x, plan.channels);
            strip.weights =
                weights + vector * vector_weights + (y.filter_first * conv.kernel_width + x.filter_first) * plan.lanes;
            strip.weight_tap = x.filter_step * plan.lanes;
            strip.target = target + (line * ax.target_size + x.target_first) * plan.channels + channel;
            KERASCNN_SIMD_CALL(DepthwiseTargets(strip));
          }
        }
      }
      if (kind != Conv2DKind::kForward) continue;
      const int64_t line = ax.target_size * plan.channels;
      ApplyEpilogue(epilogue, channel, plan.chunk_channels(vector), std::min(plan.strip, ay.target_size - q), line,
                    ax.target_size, plan.channels, target + (image * ay.target_size + q) * line + channel);
    }
  });
}

template <typename T>
void Depthwise2DFilterGradient(const Conv2D& conv, const T* x, const T* dy, T* dw, void* scratch,
                               const ParallelFor& parallel) {
  using R = Compute<T>;
  const DepthwisePlan plan(conv, Conv2DKind::kFilterGradient, sizeof(T));
  const ConvAxis &ay = plan.y.axis, &ax = plan.x.axis;
  const int64_t source_line = ax.source_size * plan.channels, vector_weights = plan.vector_weights();
  const int64_t items = conv.batch * plan.strips;
  R* sums = static_cast<R*>(scratch);
  const int64_t cost = CeilDiv(items, plan.parts) * plan.strip * ax.target_size * plan.chunk * (plan.taps + 8);
  parallel.Run(plan.parts * plan.chunks, cost, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t part = task / plan.chunks, vector = plan.first(task), channel = vector * plan.lanes;
      R* own = sums + (part * plan.vectors + vector) * vector_weights;
      DepthwiseStrip<const T, R> strip;
      strip.source_line = source_line, strip.lines = ay.source_size;
      strip.advance = ay.source_stride, strip.tap_lines = ay.source_step, strip.tap_rows = ay.kernel;
      strip.target_line = ax.target_size * plan.channels;
      strip.weights = own, strip.weight_tap = plan.lanes, strip.weight_row = conv.kernel_width * plan.lanes;
      strip.weight_vector = vector_weights, strip.channels = plan.chunk_channels(vector);
      std::fill(own, own + CeilDiv(strip.channels, plan.lanes) * vector_weights, R(0));
      for (int64_t item = items * part / plan.parts; item < items * (part + 1) / plan.parts; ++item) {
        const int64_t image = item / plan.strips, q = item % plan.strips * plan.strip;
        strip.source = x + image * ay.source_size * source_line + channel;
        strip.from = q * ay.source_stride + ay.lowest, strip.rows = std::min(plan.strip, ay.target_size - q);
        for (int64_t r = 0; r < plan.x.runs(); ++r) {
          const DepthwiseRun run = plan.x.Run(0, r);
          strip.SetColumns(run, plan.channels);
          strip.target =
              dy + ((image * ay.target_size + q) * ax.target_size + run.target_first) * plan.channels + channel;
          KERASCNN_SIMD_CALL(DepthwiseGradient(strip));
        }
      }
    }
  });
  parallel.Run(plan.vectors, plan.parts * vector_weights, [&](int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end; ++v) {
      R* sum = sums + v * vector_weights;
      const int64_t first = v * plan.lanes, count = std::min(plan.lanes, plan.channels - first);
      for (int64_t p = 1; p < plan.parts; ++p) {
        const R* part = sum + p * plan.vectors * vector_weights;
        for (int64_t k = 0; k < vector_weights; ++k) sum[k] += part[k];
      }
      for (int64_t tap = 0; tap < plan.taps; ++tap) {
        for (int64_t l = 0; l < count; ++l) {
          dw[tap * plan.channels + first + l] = FromCompute<T>(sum[tap * plan.lanes + l]);
        }
      }
    }
  });
}

#define KERASCNN_INSTANTIATE(T)                                                                              \
  template void Depthwise2D<T>(const Conv2D&, Conv2DKind, const T*, const T*, T*, void*, const ParallelFor&, \
                               const Conv2DEpilogue<T>&);                                                    \
  template void Depthwise2DFilterGradient<T>(const Conv2D&, const T*, const T*, T*, void*, const ParallelFor&);
KERASCNN_INSTANTIATE(float)
KERASCNN_INSTANTIATE(double)
KERASCNN_INSTANTIATE(bfloat16)
KERASCNN_INSTANTIATE(half)
#undef KERASCNN_INSTANTIATE

}  // namespace kerascnn
