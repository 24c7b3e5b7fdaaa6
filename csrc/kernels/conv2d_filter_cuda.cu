// conv2d on a CUDA device: the gradient of the filters, by a reduction in two stages without atomics.
//
// A unit is a vector of input channels times a vector of output channels of one group, for up to kTaps neighboring
// taps of a filter row; its sums stay in the registers of one thread while it walks over output pixels. A warp holds 32
// units that read neighboring channels, the warps of a block walk over different pixels and add up in shared memory,
// and each block writes one partial sum (of kPieceBytes in all, unless one part is more); a second kernel adds the
// partial sums in their order. How pixels are cut depends on the shape alone.
#include "common/cuda_launch.h"
#include "common/cuda_vector.h"
#include "kernels/conv2d_cuda.h"

namespace kerascnn {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
constexpr int kTaps = 3;
constexpr int64_t kBlocks = 2048;      // asked for, so that every device is full
constexpr int64_t kPixelsOfWarp = 16;  // at least

// Input channels [source, ...) and output channels [target, ...) of a group, taps (y, x), (y, x + 1) ... below
// kernel_width.
struct FilterUnit {
  int y, x, source, target;
};

struct FilterPlan {
  Conv2D conv;
  int64_t pixels, weights, units;
  int size;        // channels of a vector
  bool depthwise;  // one channel in and one out in every group: a vector of both holds as many groups
  Divider output_height, output_width;
  Divider sources, targets, chunks;  // vectors of input channels in a group, of output channels in all; taps in a row
  Divider parts;
  int64_t share = 0, rest = 0;  // every warp of a part takes `share` pixels, the first `rest` of them one more

  FilterPlan(const Conv2D& c, int vector, int64_t compute_bytes)
      : conv(c),
        pixels(c.batch * c.output_height() * c.output_width()),
        weights(c.w_elements()),
        size(vector),
        depthwise(c.group_channels == 1 && c.filters == c.channels),
        output_height(std::max<int64_t>(1, c.output_height())),
        output_width(std::max<int64_t>(1, c.output_width())),
        sources(depthwise ? 1 : c.group_channels / size),
        targets(c.filters / size),
        chunks(BlocksFor(c.kernel_width, kTaps)),
        parts(1) {
    units = c.kernel_height * chunks.divisor * sources.divisor * targets.divisor;
    const int64_t most = std::min(BlocksFor(pixels, kWarps * kPixelsOfWarp), kPieceBytes / (weights * compute_bytes));
    parts = Divider(std::max<int64_t>(1, std::min(most, BlocksFor(kBlocks, BlocksFor(units, kWarp)))));
    share = pixels / (parts.divisor * kWarps);
    rest = pixels % (parts.divisor * kWarps);
  }
  // Input channel of unit.source = 0 in the group of an output channel.
  __device__ int GroupStart(int target) const {
    if (depthwise) return target;
    const int group = static_cast<int>(conv.filters / (conv.channels / conv.group_channels));
    return target / group * static_cast<int>(conv.group_channels);
  }
  __device__ FilterUnit Unit(int64_t unit) const {
    FilterUnit result;
    result.target = static_cast<int>(targets.Split(&unit)) * size;
    result.source = static_cast<int>(sources.Split(&unit)) * size;
    result.x = static_cast<int>(chunks.Split(&unit)) * kTaps;
    result.y = static_cast<int>(unit);
    return result;
  }
};

// Walks over output pixels without divisions after the first.
struct Walk {
  int64_t image;
  int y, x;
  __device__ Walk(const FilterPlan& plan, int64_t pixel) {
    x = static_cast<int>(plan.output_width.Split(&pixel));
    y = static_cast<int>(plan.output_height.Split(&pixel));
    image = pixel;
  }
  __device__ void Next(const FilterPlan& plan) {
    if (++x < plan.output_width.divisor) return;
    x = 0;
    if (++y < plan.output_height.divisor) return;
    y = 0;
    ++image;
  }
};

// Grid: parts x blocks of 32 units. kSums: sums of a unit per tap.
template <typename T, int kSize, bool kDepthwise>
__global__ void __launch_bounds__(kThreads, 2)
    FilterPartials(FilterPlan plan, int64_t blocks, const T* __restrict__ x, const T* __restrict__ dy,
                   Compute<T>* __restrict__ partials) {
  using R = Compute<T>;
  constexpr int kSums = kDepthwise ? kSize : kSize * kSize;
  KERASCNN_SHARED(R, shared);  // [kWarps][kSums][kWarp]
  const Conv2D& conv = plan.conv;
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  for (int64_t block = blockIdx.x; block < blocks; block += gridDim.x) {
    int64_t unit_block = block;
    const int64_t part = plan.parts.Split(&unit_block);
    const bool active = unit_block * kWarp + lane < plan.units;
    const FilterUnit unit = plan.Unit(active ? unit_block * kWarp + lane : 0);
    const int first_source = plan.GroupStart(unit.target) + unit.source;
    R sums[kTaps][kSums] = {};
    const int64_t slice = part * kWarps + warp;
    const int64_t begin = slice * plan.share + min(slice, plan.rest);
    const int64_t end = active ? begin + plan.share + (slice < plan.rest ? 1 : 0) : begin;
    Walk at(plan, begin);
    for (int64_t pixel = begin; pixel < end; ++pixel, at.Next(plan)) {
      const int64_t source_y = at.y * conv.stride_y + unit.y * conv.dilation_y - conv.pad_y.before;
      if (source_y < 0 || source_y >= conv.height) continue;
      const Vector<T, kSize> gradient = LoadVector<kSize>(dy + pixel * conv.filters + unit.target);
      const T* row = x + (at.image * conv.height + source_y) * conv.width * conv.channels + first_source;
#pragma unroll
      for (int b = 0; b < kTaps; ++b) {
        const int64_t source_x = at.x * conv.stride_x + (unit.x + b) * conv.dilation_x - conv.pad_x.before;
        if (unit.x + b >= conv.kernel_width || source_x < 0 || source_x >= conv.width) continue;
        const Vector<T, kSize> source = LoadVector<kSize>(row + source_x * conv.channels);
#pragma unroll
        for (int s = 0; s < kSize; ++s) {
          if (kDepthwise) {
            sums[b][s] += ToCompute(source.at[s]) * ToCompute(gradient.at[s]);
          } else {
#pragma unroll
            for (int t = 0; t < kSize; ++t) {
              sums[b][(s * kSize + t) % kSums] += ToCompute(source.at[s]) * ToCompute(gradient.at[t]);
            }
          }
        }
      }
    }
#pragma unroll
    for (int b = 0; b < kTaps; ++b) {
#pragma unroll
      for (int i = 0; i < kSums; ++i) shared[(warp * kSums + i) * kWarp + lane] = sums[b][i];
      __syncthreads();
      // Each warp adds up some of the sums over all warps and writes them.
      for (int i = warp; i < kSums && active && unit.x + b < conv.kernel_width; i += kWarps) {
        R sum = 0;
        for (int other = 0; other < kWarps; ++other) sum += shared[(other * kSums + i) * kWarp + lane];
        const int64_t tap = unit.y * conv.kernel_width + unit.x + b;
        const int s = kDepthwise ? 0 : i / kSize, t = kDepthwise ? i : i % kSize;
        const int64_t row = tap * conv.group_channels + unit.source + s;
        partials[part * plan.weights + row * conv.filters + unit.target + t] = sum;
      }
      __syncthreads();
    }
  }
}

// dw = the sum of `parts` partial sums: lanes over weights, warps over parts.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    SumPartials(int64_t weights, int64_t parts, const Compute<T>* __restrict__ partials, T* __restrict__ dw) {
  using R = Compute<T>;
  KERASCNN_SHARED(R, shared);  // [kWarps][kWarp]
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  for (int64_t first = int64_t(blockIdx.x) * kWarp; first < weights; first += int64_t(gridDim.x) * kWarp) {
    R sum = 0;
    if (first + lane < weights) {
      for (int64_t part = warp; part < parts; part += kWarps) sum += partials[part * weights + first + lane];
    }
    shared[warp * kWarp + lane] = sum;
    __syncthreads();
    if (warp == 0 && first + lane < weights) {
      for (int other = 1; other < kWarps; ++other) sum += shared[other * kWarp + lane];
      dw[first + lane] = FromCompute<T>(sum);
    }
    __syncthreads();
  }
}

template <typename T>
FilterPlan Plan(const Conv2D& conv, bool vectors) {
  constexpr int kSize = sizeof(T) == 8 ? 2 : 4;
  const bool depthwise = conv.group_channels == 1 && conv.filters == conv.channels;
  const bool whole = depthwise ? conv.channels % kSize == 0
                               : conv.group_channels % kSize == 0 && conv.filters / conv.groups() % kSize == 0;
  return FilterPlan(conv, vectors && whole ? kSize : 1, sizeof(Compute<T>));
}

}  // namespace

int64_t Conv2DCudaScratchBytes(const Conv2D& conv, Conv2DKind kind, int element_bytes) {
  if (kind == Conv2DKind::kForward) return 0;
  if (kind == Conv2DKind::kInputGradient) return (conv.w_elements() * element_bytes + 15) / 16 * 16;  // swapped
  const auto bytes = [](const FilterPlan& plan, int64_t size) { return plan.parts.divisor * plan.weights * size; };
  // Whether vectors are used depends on the pointers, which are not known here.
  if (element_bytes == 8) return std::max(bytes(Plan<double>(conv, true), 8), bytes(Plan<double>(conv, false), 8));
  return std::max(bytes(Plan<float>(conv, true), 4), bytes(Plan<float>(conv, false), 4));
}

template <typename T>
std::string Conv2DFilterGradientCuda(const Conv2D& conv, const T* x, const T* dy, T* dw, void* scratch, void* stream) {
  using R = Compute<T>;
  constexpr int kSize = sizeof(T) == 8 ? 2 : 4;
  const FilterPlan plan = Plan<T>(conv, IsAligned(x, kSize * sizeof(T)) && IsAligned(dy, kSize * sizeof(T)));
  const int64_t blocks = BlocksFor(plan.units, kWarp) * plan.parts.divisor;
  const int sums = plan.depthwise ? plan.size : plan.size * plan.size;
  R* const partials = static_cast<R*>(scratch);
  const auto kernel = plan.depthwise   ? plan.size == 1 ? FilterPartials<T, 1, true> : FilterPartials<T, kSize, true>
                        : plan.size == 1 ? FilterPartials<T, 1, false>
                                       : FilterPartials<T, kSize, false>;
  const Grid grid{blocks, kThreads, static_cast<int64_t>(sizeof(R)) * kThreads * sums};
  const std::string wrong = Launch(kernel, grid, stream, plan, blocks, x, dy, partials);
  if (!wrong.empty()) return wrong;
  return Launch(SumPartials<T>, {BlocksFor(plan.weights, kWarp), kThreads, static_cast<int64_t>(sizeof(R)) * kThreads},
                stream, plan.weights, plan.parts.divisor, partials, dw);
}

#define KERASCNN_INSTANTIATE(T) \
  template std::string Conv2DFilterGradientCuda<T>(const Conv2D&, const T*, const T*, T*, void*, void*)
KERASCNN_INSTANTIATE(float);
KERASCNN_INSTANTIATE(double);
KERASCNN_INSTANTIATE(bfloat16);
KERASCNN_INSTANTIATE(half);
#undef KERASCNN_INSTANTIATE

}  // namespace kerascnn
