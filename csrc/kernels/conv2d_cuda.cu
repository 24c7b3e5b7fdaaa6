// conv2d on a CUDA device: forward and the gradient of the input. The gradient of the filters is in
// conv2d_filter_cuda.cu.
//
// Both are a gather: each target pixel sums over taps and over the source channels of its group, forward from x to y,
// gradient from dy to dx, for which the filters' channels in and out are swapped first, so that weights are read as
// forward. A thread owns a few neighboring pixels of a row and a vector of channels of one group, finds
// its sources' coordinates once per tap, and keeps all sums in registers; neighboring threads own neighboring
// channels, so that every load and store is of whole lines and what pixels share comes from the first-level cache.
#include "common/cuda_launch.h"
#include "common/cuda_vector.h"
#include "kernels/conv2d_cuda.h"

namespace kerascnn {
namespace {

constexpr int kThreads = 256;
constexpr int kPixels = 4;  // of a thread

// Tap k of target t lies at t * scale + k * step + offset of the sources, divided by `divide` if that leaves no rest.
struct GatherAxis {
  int sources, targets, taps, scale, step, offset, divide;
  // -1 where there is no source. No sum leaves 32 bits, because padded images and dilated windows are below 2^31.
  __device__ int Source(int target, int tap) const {
    const int at = target * scale + offset + tap * step;
    if (divide == 1) return at >= 0 && at < sources ? at : -1;
    return at >= 0 && at % divide == 0 && at / divide < sources ? at / divide : -1;
  }
};

struct Gather {
  int64_t batch;
  GatherAxis y, x;
  int source_channels, target_channels, source_group, target_group;
  Divider chunks, strips, rows;  // vectors of target channels, groups of kPixels in a row, rows in an image

  static GatherAxis Axis(bool gradient, int64_t x_size, int64_t y_size, int64_t taps, int64_t stride, int64_t dilation,
                         int64_t before) {
    const auto as = [](int64_t n) { return static_cast<int>(n); };
    if (gradient) return {as(y_size), as(x_size), as(taps), 1, as(-dilation), as(before), as(stride)};
    return {as(x_size), as(y_size), as(taps), as(stride), as(dilation), as(-before), 1};
  }
  Gather(const Conv2D& c, bool gradient, int size)
      : batch(c.batch),
        y(Axis(gradient, c.height, c.output_height(), c.kernel_height, c.stride_y, c.dilation_y, c.pad_y.before)),
        x(Axis(gradient, c.width, c.output_width(), c.kernel_width, c.stride_x, c.dilation_x, c.pad_x.before)),
        source_channels(static_cast<int>(gradient ? c.filters : c.channels)),
        target_channels(static_cast<int>(gradient ? c.channels : c.filters)),
        source_group(static_cast<int>(gradient ? c.filters / c.groups() : c.group_channels)),
        target_group(static_cast<int>(gradient ? c.group_channels : c.filters / c.groups())),
        chunks(target_channels / size),
        strips(BlocksFor(x.targets, kPixels)),
        rows(y.targets) {}
  int64_t items() const { return batch * rows.divisor * strips.divisor * chunks.divisor; }
};

// A thread's place: kPixels target pixels from (image, y, x) on, `size` channels from `channel` on.
struct GatherPlace {
  int64_t image;
  int y, x, channel;
  __device__ GatherPlace(const Gather& conv, int64_t item, int size) {
    channel = static_cast<int>(conv.chunks.Split(&item)) * size;
    x = static_cast<int>(conv.strips.Split(&item)) * kPixels;
    y = static_cast<int>(conv.rows.Split(&item));
    image = item;
  }
};

template <int kSize, typename T>
__device__ inline void LoadAs(const T* from, Compute<T>* to) {
  const Vector<T, kSize> vector = LoadVector<kSize>(from);
#pragma unroll
  for (int k = 0; k < kSize; ++k) to[k] = ToCompute(vector.at[k]);
}

// The sources of one tap for all pixels of a thread: pixel p's kSize channels from `channel` on, 0 where there are
// none.
template <int kSize, typename T>
__device__ inline void LoadSources(const Gather& conv, const T* row, const int* columns, int channel,
                                   Compute<T> (*values)[kSize]) {
#pragma unroll
  for (int p = 0; p < kPixels; ++p) {
#pragma unroll
    for (int k = 0; k < kSize; ++k) values[p][k] = 0;
    if (columns[p] >= 0) LoadAs<kSize>(row + int64_t(columns[p]) * conv.source_channels + channel, values[p]);
  }
}

template <int kSize, typename T>
__device__ inline void StoreSums(const Gather& conv, const GatherPlace& place, const Compute<T> (*sums)[kSize],
                                 T* target) {
  const int64_t first = ((place.image * conv.y.targets + place.y) * conv.x.targets + place.x) * conv.target_channels;
#pragma unroll
  for (int p = 0; p < kPixels; ++p) {
    if (place.x + p >= conv.x.targets) break;
    Vector<T, kSize> vector;
#pragma unroll
    for (int k = 0; k < kSize; ++k) vector.at[k] = FromCompute<T>(sums[p][k]);
    StoreVector(vector, target + first + int64_t(p) * conv.target_channels + place.channel);
  }
}

// Calls body(filter tap, start of the source row, source columns of the pixels) for every tap that meets the image.
template <typename T, typename Body>
__device__ inline void ForEachTap(const Gather& conv, const GatherPlace& place, const T* source, const Body& body) {
  for (int a = 0; a < conv.y.taps; ++a) {
    const int source_y = conv.y.Source(place.y, a);
    if (source_y < 0) continue;
    const T* row = source + (place.image * conv.y.sources + source_y) * conv.x.sources * conv.source_channels;
    for (int b = 0; b < conv.x.taps; ++b) {
      int columns[kPixels];
#pragma unroll
      for (int p = 0; p < kPixels; ++p) {
        columns[p] = place.x + p < conv.x.targets ? conv.x.Source(place.x + p, b) : -1;
      }
      body(int64_t(a) * conv.x.taps + b, row, columns);
    }
  }
}

// w: [tap, source channel of the group, target channel]. kSize divides the channels of a group on both sides.
template <typename T, int kSize>
__global__ void __launch_bounds__(kThreads, 2) ConvGather(Gather conv, int64_t items, const T* __restrict__ source,
                                                          const T* __restrict__ w, T* __restrict__ target) {
  using R = Compute<T>;
  for (int64_t item = GlobalThread(); item < items; item += GlobalThreads()) {
    const GatherPlace place(conv, item, kSize);
    const int first = place.channel / conv.target_group * conv.source_group;
    R sums[kPixels][kSize] = {};
    ForEachTap(conv, place, source, [&](int64_t tap, const T* row, const int* columns) {
      const T* weights = w + tap * conv.source_group * conv.target_channels + place.channel;
      for (int s = 0; s < conv.source_group; s += kSize) {
        R values[kPixels][kSize];
        LoadSources<kSize>(conv, row, columns, first + s, values);
#pragma unroll
        for (int k = 0; k < kSize; ++k) {
          R weight[kSize];
          LoadAs<kSize>(weights + int64_t(s + k) * conv.target_channels, weight);
#pragma unroll
          for (int p = 0; p < kPixels; ++p) {
#pragma unroll
            for (int i = 0; i < kSize; ++i) sums[p][i] += values[p][k] * weight[i];
          }
        }
      }
    });
    StoreSums<kSize>(conv, place, sums, target);
  }
}

// One channel in and one out in every group; both directions read w[tap, channel].
template <typename T, int kSize>
__global__ void __launch_bounds__(kThreads, 2) DepthwiseGather(Gather conv, int64_t items, const T* __restrict__ source,
                                                               const T* __restrict__ w, T* __restrict__ target) {
  using R = Compute<T>;
  for (int64_t item = GlobalThread(); item < items; item += GlobalThreads()) {
    const GatherPlace place(conv, item, kSize);
    R sums[kPixels][kSize] = {};
    ForEachTap(conv, place, source, [&](int64_t tap, const T* row, const int* columns) {
      R values[kPixels][kSize], weight[kSize];
      LoadAs<kSize>(w + tap * conv.target_channels + place.channel, weight);
      LoadSources<kSize>(conv, row, columns, place.channel, values);
#pragma unroll
      for (int p = 0; p < kPixels; ++p) {
#pragma unroll
        for (int k = 0; k < kSize; ++k) sums[p][k] += values[p][k] * weight[k];
      }
    });
    StoreSums<kSize>(conv, place, sums, target);
  }
}

// w [tap, channel of the group, filter] -> swapped [tap, filter of the group, channel].
template <typename T>
__global__ void __launch_bounds__(kThreads)
    SwapChannels(int64_t n, Divider channels, Divider group_filters, Divider group_channels, int64_t filters,
                 const T* __restrict__ w, T* __restrict__ swapped) {
  for (int64_t i = GlobalThread(); i < n; i += GlobalThreads()) {
    int64_t tap = i;
    int64_t group = channels.Split(&tap);
    const int64_t filter = group_filters.Split(&tap), channel = group_channels.Split(&group);
    swapped[i] = w[(tap * group_channels.divisor + channel) * filters + group * group_filters.divisor + filter];
  }
}

bool IsDepthwise(const Conv2D& conv) { return conv.group_channels == 1 && conv.filters == conv.channels; }

template <typename T>
std::string Convolve(const Conv2D& conv, bool gradient, const T* source, const T* w, T* target, void* stream) {
  constexpr int kSize = sizeof(T) == 8 ? 2 : 4;
  const int64_t in = conv.group_channels, out = conv.filters / conv.groups();
  const bool depthwise = IsDepthwise(conv);
  const bool whole = depthwise ? conv.channels % kSize == 0 : in % kSize == 0 && out % kSize == 0;
  const bool aligned =
      IsAligned(source, kSize * sizeof(T)) && IsAligned(w, kSize * sizeof(T)) && IsAligned(target, kSize * sizeof(T));
  const int size = whole && aligned ? kSize : 1;
  const Gather gather(conv, gradient, size);
  const int64_t items = gather.items();
  const auto one_by_one = depthwise ? DepthwiseGather<T, 1> : ConvGather<T, 1>;
  const auto by_vectors = depthwise ? DepthwiseGather<T, kSize> : ConvGather<T, kSize>;
  return Launch(size == 1 ? one_by_one : by_vectors, {BlocksFor(items, kThreads), kThreads}, stream, gather, items,
                source, w, target);
}

}  // namespace

template <typename T>
std::string Conv2DForwardCuda(const Conv2D& conv, const T* x, const T* w, T* y, void* stream) {
  return conv.y_elements() == 0 ? "" : Convolve(conv, false, x, w, y, stream);
}

template <typename T>
std::string Conv2DInputGradientCuda(const Conv2D& conv, const T* w, const T* dy, T* dx, void* scratch, void* stream) {
  if (conv.x_elements() == 0) return "";
  if (IsDepthwise(conv)) return Convolve(conv, true, dy, w, dx, stream);
  T* const swapped = static_cast<T*>(scratch);
  const int64_t n = conv.w_elements();
  const std::string wrong =
      Launch(SwapChannels<T>, {BlocksFor(n, kThreads), kThreads}, stream, n, Divider(conv.channels),
             Divider(conv.filters / conv.groups()), Divider(conv.group_channels), conv.filters, w, swapped);
  return wrong.empty() ? Convolve(conv, true, dy, static_cast<const T*>(swapped), dx, stream) : wrong;
}

#define KERASCNN_INSTANTIATE(T)                                                            \
  template std::string Conv2DForwardCuda<T>(const Conv2D&, const T*, const T*, T*, void*); \
  template std::string Conv2DInputGradientCuda<T>(const Conv2D&, const T*, const T*, T*, void*, void*)
KERASCNN_INSTANTIATE(float);
KERASCNN_INSTANTIATE(double);
KERASCNN_INSTANTIATE(bfloat16);
KERASCNN_INSTANTIATE(half);
#undef KERASCNN_INSTANTIATE

}  // namespace kerascnn
