// deform_conv2d on a CUDA device: columns of a chunk of pixels, small enough for the second-level cache, and products.
//
// A column row holds the samples of one pixel, [group][tap][channel of the group], so that forward and both gradients
// are the products of common/cuda_gemm.h. A sample's corners and weights are found once, in shared memory, and used by
// all the channels that share its offset; threads have 16 bytes of channels where those are whole vectors.
#include "common/cuda_gemm.h"
#include "common/cuda_launch.h"
#include "common/cuda_vector.h"
#include "kernels/deform_conv2d_body.h"
#include "kernels/deform_conv2d_cuda.h"

namespace kerascnn {
namespace {

constexpr int kThreads = 256;
constexpr int kSamples = 64;         // that a block of DeformColumns finds at a time
constexpr int64_t kBlocks = 256;     // of the filter gradient, so that every device is full
constexpr int64_t kPartPixels = 64;  // of its sums, at least

int64_t RoundUp(int64_t bytes) { return (bytes + 15) / 16 * 16; }

// A convolution as the kernels see it. Samples are numbered as the mask: pixel, offset group, tap.
struct Sampling {
  int64_t height, width, channels;
  int64_t stride_y, stride_x, dilation_y, dilation_x, top, left;
  int64_t taps, kernel_width, offset_channels;
  Divider by_taps, by_kernel_width, by_offset_groups, by_columns, by_rows;  // output columns and rows
  Divider by_vectors, by_group;                                             // of a sample; channels of a group

  Sampling(const DeformConv2D& d, int size)
      : height(d.conv.height),
        width(d.conv.width),
        channels(d.conv.channels),
        stride_y(d.conv.stride_y),
        stride_x(d.conv.stride_x),
        dilation_y(d.conv.dilation_y),
        dilation_x(d.conv.dilation_x),
        top(d.conv.pad_y.before),
        left(d.conv.pad_x.before),
        taps(d.taps()),
        kernel_width(d.conv.kernel_width),
        offset_channels(d.offset_channels()),
        by_taps(d.taps()),
        by_kernel_width(d.conv.kernel_width),
        by_offset_groups(d.offset_groups),
        by_columns(d.conv.output_width()),
        by_rows(d.conv.output_height()),
        by_vectors(d.offset_channels() / size),
        by_group(d.conv.group_channels) {}
};

// One sample: its corners as elements of x, -1 outside; its first channel; where its pixel's columns begin.
template <typename R>
struct Sample {
  int64_t corner[4], channel, column, tap;
  DeformCorners<R, int> at;  // without its pixels, which may need more bits
  R mask;
};

template <typename T>
__device__ Sample<Compute<T>> Find(const Sampling& s, int64_t number, int64_t first_pixel, const T* offset,
                                   const T* mask) {
  using R = Compute<T>;
  Sample<R> sample;
  sample.mask = mask == nullptr ? R(1) : ToCompute(mask[number]);
  const R down = ToCompute(offset[2 * number]), aside = ToCompute(offset[2 * number + 1]);
  int64_t row = number;
  sample.tap = s.by_taps.Split(&row);
  sample.channel = s.by_offset_groups.Split(&row) * s.offset_channels;
  sample.column = (row - first_pixel) * s.taps * s.channels;
  const int64_t column = s.by_columns.Split(&row);
  int64_t image = row, tap_y = sample.tap;
  row = s.by_rows.Split(&image);
  const int64_t tap_x = s.by_kernel_width.Split(&tap_y);
  const R y = static_cast<R>(DeformOrigin(row, s.stride_y, tap_y, s.dilation_y, s.top)) + down;
  const R x = static_cast<R>(DeformOrigin(column, s.stride_x, tap_x, s.dilation_x, s.left)) + aside;
  const DeformCorners<R> at = DeformLocate<R, int64_t>(y, x, s.height, s.width);
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    const int64_t pixel = image * s.height * s.width + at.pixel[k];
    sample.corner[k] = at.pixel[k] < 0 ? -1 : pixel * s.channels + sample.channel;
    sample.at.weight[k] = at.weight[k];
  }
  sample.at.below = at.below, sample.at.right = at.right;
  return sample;
}

// Where a sample's channel lies in its pixel's columns.
__device__ inline int64_t ColumnOf(const Sampling& s, int64_t tap, int64_t channel) {
  const int64_t group = s.by_group.Quotient(channel);
  return (group * (s.taps - 1) + tap) * s.by_group.divisor + channel;
}

// The kernels below work on samples [first, first + count), those of whole pixels; a block on kSamples at a time. Finds
// them, one by each thread. There must be a barrier before the samples are read, and one before they are overwritten.
template <typename T>
__device__ int Stage(const Sampling& s, int64_t first, int64_t count, int64_t first_pixel, const T* offset,
                     const T* mask, Sample<Compute<T>>* samples) {
  const int here = static_cast<int>(min(count, int64_t{kSamples}));
  if (static_cast<int>(threadIdx.x) < here)
    samples[threadIdx.x] = Find(s, first + threadIdx.x, first_pixel, offset, mask);
  return here;
}

template <typename T, int kSize>
__global__ void __launch_bounds__(kThreads)
    DeformColumns(Sampling s, int64_t first_pixel, int64_t first, int64_t count, const T* __restrict__ x,
                  const T* __restrict__ offset, const T* __restrict__ mask, T* __restrict__ columns) {
  using R = Compute<T>;
  KERASCNN_SHARED(Sample<R>, samples);
  const int64_t vectors = s.by_vectors.divisor;
  for (int64_t start = int64_t(blockIdx.x) * kSamples; start < count; start += int64_t(gridDim.x) * kSamples) {
    const int here = Stage(s, first + start, count - start, first_pixel, offset, mask, samples);
    __syncthreads();
    for (int64_t item = threadIdx.x; item < here * vectors; item += kThreads) {
      int64_t number = item;
      const int64_t inside = s.by_vectors.Split(&number) * kSize;
      const Sample<R>& sample = samples[number];
      Vector<T, kSize> corners[4];
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        corners[k] = Vector<T, kSize>{};
        if (sample.corner[k] >= 0) corners[k] = LoadVector<kSize>(x + sample.corner[k] + inside);
      }
      Vector<T, kSize> result;
#pragma unroll
      for (int i = 0; i < kSize; ++i) {
        const auto value = [&](int k) { return ToCompute(corners[k].at[i]); };
        result.at[i] = FromCompute<T>(sample.mask * DeformBlend(sample.at, value(0), value(1), value(2), value(3)));
      }
      StoreVector(result, columns + sample.column + ColumnOf(s, sample.tap, sample.channel + inside));
    }
    __syncthreads();
  }
}

// The gradients of the samples from those of their columns: `width` neighboring lanes, a power of two, sum over the
// channels of one.
template <typename T, int kSize>
__global__ void __launch_bounds__(kThreads, 4)
    DeformSpread(Sampling s, int width, int64_t first_pixel, int64_t first, int64_t count, const T* __restrict__ x,
                 const T* __restrict__ offset, const T* __restrict__ mask, const T* __restrict__ dcolumns,
                 Compute<T>* __restrict__ dx, T* __restrict__ doffset, T* __restrict__ dmask) {
  using R = Compute<T>;
  KERASCNN_SHARED(Sample<R>, samples);
  const int lane = threadIdx.x % width, together = kThreads / width;
  for (int64_t start = int64_t(blockIdx.x) * kSamples; start < count; start += int64_t(gridDim.x) * kSamples) {
    const int here = Stage(s, first + start, count - start, first_pixel, offset, mask, samples);
    __syncthreads();
    for (int base = 0; base < here; base += together) {
      const int item = base + threadIdx.x / width;
      const Sample<R>& sample = samples[min(item, here - 1)];
      R sums[4] = {};
      for (int64_t inside = lane * kSize; item < here && inside < s.offset_channels; inside += width * kSize) {
        const T* const from = dcolumns + sample.column + ColumnOf(s, sample.tap, sample.channel + inside);
        const Vector<T, kSize> gradient = LoadVector<kSize>(from);
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          if (sample.corner[k] < 0) continue;
          const Vector<T, kSize> value = LoadVector<kSize>(x + sample.corner[k] + inside);
          const R weight = sample.at.weight[k] * sample.mask;
          R shares[kSize];
#pragma unroll
          for (int i = 0; i < kSize; ++i) {
            const R g = ToCompute(gradient.at[i]);
            sums[k] += g * ToCompute(value.at[i]);
            shares[i] = weight * g;
          }
          AtomicAddVector<kSize>(dx + sample.corner[k] + inside, shares);
        }
      }
#pragma unroll
      for (int k = 0; k < 4; ++k) sums[k] = WarpSum(sums[k], width);
      if (lane != 0 || item >= here) continue;
      const int64_t to = first + start + item;
      const R down = DeformSlopeY(sample.at, sums[0], sums[1], sums[2], sums[3]);
      const R aside = DeformSlopeX(sample.at, sums[0], sums[1], sums[2], sums[3]);
      doffset[2 * to] = FromCompute<T>(sample.mask * down);
      doffset[2 * to + 1] = FromCompute<T>(sample.mask * aside);
      if (dmask != nullptr) dmask[to] = FromCompute<T>(DeformBlend(sample.at, sums[0], sums[1], sums[2], sums[3]));
    }
    __syncthreads();
  }
}

// to[i] = the sum of `parts` numbers that lie n apart, in their order; no parts: 0.
template <typename R, typename T>
__global__ void __launch_bounds__(kThreads) DeformAdd(int64_t n, int64_t parts, const R* from, T* to) {
  for (int64_t i = GlobalThread(); i < n; i += GlobalThreads()) {
    R sum = 0;
    for (int64_t part = 0; part < parts; ++part) sum += from[part * n + i];
    to[i] = FromCompute<T>(sum);
  }
}

template <typename R, typename T>
std::string Add(int64_t n, int64_t parts, const R* from, T* to, void* stream) {
  return Launch(DeformAdd<R, T>, {BlocksFor(n, kThreads), kThreads}, stream, n, parts, from, to);
}

// How the work is cut, which depends on the shape alone.
struct Chunks {
  int64_t row;     // elements of a pixel's columns
  int64_t pixels;  // of a chunk
  int64_t parts;   // of the filter gradient
  int64_t column_bytes, partial_bytes, dx_bytes;

  Chunks(const DeformConv2D& d, bool gradient, int element_bytes) {
    const Conv2D& c = d.conv;
    const int64_t compute = element_bytes == 8 ? 8 : 4;
    row = d.taps() * c.channels;
    pixels = std::max<int64_t>(1, std::min(d.pixels(), kPieceBytes / (row * element_bytes)));
    column_bytes = RoundUp(pixels * row * element_bytes);
    const int64_t filters = c.filters / c.groups(), sums = std::max<int64_t>(1, c.w_elements() * compute);
    const int64_t tiles = BlocksFor(d.taps() * c.group_channels, kGemmRows) * BlocksFor(filters, kGemmColumns);
    const int64_t wanted = std::min(BlocksFor(kBlocks, std::max<int64_t>(1, tiles * c.groups())),
                                    std::min(BlocksFor(pixels, kPartPixels), kPieceBytes / sums));
    parts = std::max<int64_t>(1, wanted);
    partial_bytes = gradient ? RoundUp(parts * sums) : 0;
    dx_bytes = gradient && element_bytes == 2 ? RoundUp(c.x_elements() * 4) : 0;
  }
};

// Everything that a call passes on.
template <typename T>
struct Call {
  const DeformConv2D& deform;
  const T *x, *offset, *mask;
  void* stream;
  Chunks chunks;
  int size;  // channels of a vector

  Call(const DeformConv2D& d, bool gradient, const T* images, const T* offsets, const T* weights, void* on)
      : deform(d), x(images), offset(offsets), mask(weights), stream(on), chunks(d, gradient, sizeof(T)) {
    constexpr int64_t kSize = kVectorSize<T>;
    const bool whole = d.offset_channels() % kSize == 0 && d.conv.group_channels % kSize == 0;
    size = whole && IsAligned(x, 16) ? kSize : 1;
  }
  int64_t First(int64_t pixel) const { return pixel * deform.mask_depth(); }  // sample

  std::string Columns(int64_t pixel, int64_t pixels, T* columns) const {
    const int64_t count = pixels * deform.mask_depth();
    const auto kernel = size == 1 ? DeformColumns<T, 1> : DeformColumns<T, kVectorSize<T>>;
    return Launch(kernel, Blocks(count), stream, Sampling(deform, size), pixel, First(pixel), count, x, offset, mask,
                  columns);
  }
  std::string Spread(int64_t pixel, int64_t pixels, const T* dcolumns, Compute<T>* dx, T* doffset, T* dmask) const {
    const int64_t count = pixels * deform.mask_depth();
    const bool whole = size > 1 && IsAligned(dx, 16);
    const Sampling sampling(deform, whole ? size : 1);
    int width = 1;
    while (width < kWarp && width < sampling.by_vectors.divisor) width *= 2;
    const auto kernel = whole ? DeformSpread<T, kVectorSize<T>> : DeformSpread<T, 1>;
    return Launch(kernel, Blocks(count), stream, sampling, width, pixel, First(pixel), count, x, offset, mask, dcolumns,
                  dx, doffset, dmask);
  }
  static Grid Blocks(int64_t samples) {
    return {BlocksFor(samples, kSamples), kThreads, kSamples * int64_t{sizeof(Sample<Compute<T>>)}};
  }
};

}  // namespace

int64_t DeformConv2DCudaScratchBytes(const DeformConv2D& deform, bool gradient, int element_bytes) {
  const Chunks chunks(deform, gradient, element_bytes);
  return chunks.column_bytes + chunks.partial_bytes + chunks.dx_bytes;
}

template <typename T>
std::string DeformConv2DForwardCuda(const DeformConv2D& deform, const T* x, const T* w, const T* offset, const T* mask,
                                    T* y, void* scratch, void* stream) {
  const Conv2D& conv = deform.conv;
  if (conv.y_elements() == 0) return "";
  const Call<T> call(deform, false, x, offset, mask, stream);
  const int64_t filters = conv.filters / conv.groups(), depth = deform.taps() * conv.group_channels;
  T* const columns = static_cast<T*>(scratch);
  std::string wrong;
  for (int64_t pixel = 0; pixel < deform.pixels() && wrong.empty(); pixel += call.chunks.pixels) {
    const int64_t pixels = std::min(call.chunks.pixels, deform.pixels() - pixel);
    wrong = call.Columns(pixel, pixels, columns);
    const Gemm gemm{pixels,
                    filters,
                    depth,
                    conv.groups(),
                    1,
                    BlocksFor(depth, 64) * 64,
                    GemmMatrix::Of(columns, call.chunks.row, depth),
                    GemmMatrix::Of(w, conv.filters, filters),
                    conv.filters,
                    filters,
                    0,
                    false};
    if (wrong.empty()) wrong = LaunchGemm<true, false>(gemm, columns, w, y + pixel * conv.filters, stream);
  }
  return wrong;
}

template <typename T>
std::string DeformConv2DGradientCuda(const DeformConv2D& deform, const T* x, const T* w, const T* offset, const T* mask,
                                     const T* dy, T* dx, T* dw, T* doffset, T* dmask, void* scratch, void* stream) {
  using R = Compute<T>;
  const Conv2D& conv = deform.conv;
  const Call<T> call(deform, true, x, offset, mask, stream);
  const Chunks& chunks = call.chunks;
  const int64_t filters = conv.filters / conv.groups(), depth = deform.taps() * conv.group_channels;
  T* const columns = static_cast<T*>(scratch);
  R* const sums = reinterpret_cast<R*>(static_cast<char*>(scratch) + chunks.column_bytes);
  R* wide_dx = reinterpret_cast<R*>(reinterpret_cast<char*>(sums) + chunks.partial_bytes);
  if constexpr (std::is_same_v<T, R>) wide_dx = dx;
  std::string wrong = Add(conv.x_elements(), 0, static_cast<const R*>(nullptr), wide_dx, stream);
  for (int64_t pixel = 0; pixel < deform.pixels() && wrong.empty(); pixel += chunks.pixels) {
    const int64_t pixels = std::min(chunks.pixels, deform.pixels() - pixel);
    const T* const gradient = dy + pixel * conv.filters;
    const GemmMatrix of_columns = GemmMatrix::Of(columns, chunks.row, depth);
    const GemmMatrix of_dy = GemmMatrix::Of(dy, conv.filters, filters), of_w = GemmMatrix::Of(w, conv.filters, filters);
    wrong = call.Columns(pixel, pixels, columns);
    const int64_t share = BlocksFor(BlocksFor(pixels, chunks.parts), 64) * 64;
    const Gemm to_w{depth,      filters, pixels,       conv.groups(), chunks.parts,      share,
                    of_columns, of_dy,   conv.filters, filters,       conv.w_elements(), pixel > 0};
    if (wrong.empty()) wrong = LaunchGemm<false, false>(to_w, columns, gradient, sums, stream);
    const Gemm to_columns{pixels, depth, filters,    conv.groups(), 1, BlocksFor(filters, 64) * 64,
                          of_dy,  of_w,  chunks.row, depth,         0, false};
    if (wrong.empty()) wrong = LaunchGemm<true, true>(to_columns, gradient, w, columns, stream);
    if (wrong.empty()) wrong = call.Spread(pixel, pixels, columns, wide_dx, doffset, dmask);
  }
  const int64_t parts = deform.pixels() == 0 ? 0 : chunks.parts;
  if (wrong.empty()) wrong = Add(conv.w_elements(), parts, static_cast<const R*>(sums), dw, stream);
  if constexpr (!std::is_same_v<T, R>) {
    if (wrong.empty()) wrong = Add(conv.x_elements(), 1, static_cast<const R*>(wide_dx), dx, stream);
  }
  return wrong;
}

#define KERASCNN_INSTANTIATE(T)                                                                                    \
  template std::string DeformConv2DForwardCuda<T>(const DeformConv2D&, const T*, const T*, const T*, const T*, T*, \
                                                  void*, void*);                                                   \
  template std::string DeformConv2DGradientCuda<T>(const DeformConv2D&, const T*, const T*, const T*, const T*,    \
                                                   const T*, T*, T*, T*, T*, void*, void*)
KERASCNN_INSTANTIATE(float);
KERASCNN_INSTANTIATE(double);
KERASCNN_INSTANTIATE(bfloat16);
KERASCNN_INSTANTIATE(half);
#undef KERASCNN_INSTANTIATE

}  // namespace kerascnn
