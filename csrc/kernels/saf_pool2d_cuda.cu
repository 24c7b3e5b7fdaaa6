// SAF-pooling on a CUDA device: one pass over memory each way.
//
// A thread has 16 bytes of channels, or one channel where those are no whole vectors. Forward it owns outputs: it makes
// their random words itself, four to a block of Philox, while the pixels travel. In the gradient it owns the pixels of
// a cell of stride x stride where windows do not overlap, so that state and dy are read once; else it owns pixels and
// adds up the outputs that see them.
#include "common/cuda_launch.h"
#include "common/cuda_vector.h"
#include "kernels/saf_pool2d_body.h"
#include "kernels/saf_pool2d_cuda.h"

namespace kerascnn {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxCell = 64;  // pixels that one thread of SafCells writes

// The pooling as kernels see it. Places are [image, row, column, vector of channels]; the rows and columns are those of
// whatever the threads own.
template <typename T>
struct Task {
  using R = Compute<T>;
  int64_t height, width, channels, rows, columns;  // x; y
  int64_t window_y, window_x, stride_y, stride_x, top, left;
  int64_t places;
  Divider by_vectors, by_columns, by_rows, by_stride_y, by_stride_x;
  R scale;

  Task(const SafPool2D& pool, int64_t own_rows, int64_t own_columns, int size)
      : height(pool.height),
        width(pool.width),
        channels(pool.channels),
        rows(pool.output_height()),
        columns(pool.output_width()),
        window_y(pool.window_y),
        window_x(pool.window_x),
        stride_y(pool.stride_y),
        stride_x(pool.stride_x),
        top(pool.pad_y.before),
        left(pool.pad_x.before),
        places(pool.batch * own_rows * own_columns * (pool.channels / size)),
        by_vectors(pool.channels / size),
        by_columns(own_columns),
        by_rows(own_rows),
        by_stride_y(pool.stride_y),
        by_stride_x(pool.stride_x),
        scale(static_cast<R>(pool.scale())) {}

  Grid grid() const { return {BlocksFor(places, kThreads), kThreads}; }
};

struct Place {
  int64_t image, row, column, channel;
};

template <int kSize, typename T>
__device__ Place PlaceOf(const Task<T>& task, int64_t index) {
  Place place;
  place.channel = task.by_vectors.Split(&index) * kSize;
  place.column = task.by_columns.Split(&index);
  place.row = task.by_rows.Split(&index);
  place.image = index;
  return place;
}

// The outputs along one axis whose window holds `pixel`.
__device__ inline SafRange OutputsOf(int64_t pixel, int64_t outputs, int64_t window, const Divider& stride,
                                     int64_t before) {
  const int64_t from = pixel + before, late = from - window;
  return {late < 0 ? 0 : stride.Quotient(late) + 1, min(stride.Quotient(from), outputs - 1)};
}

struct Drop {
  SafKey key;
  uint32_t threshold;
  bool active, per_channel;
};

// The random words of outputs [first, first + kSize); `first` is a multiple of kSize.
template <int kSize>
__device__ void RandomWords(const SafKey& key, int64_t first, uint32_t* words) {
#pragma unroll
  for (int done = 0; done < kSize; done += 4) {
    uint32_t block[4];
    PhiloxBlock(static_cast<uint64_t>(first + done) / 4, key.word[0], key.word[1], block);
    if (kSize >= 4) {
#pragma unroll
      for (int k = 0; k < 4; ++k) words[(done + k) % kSize] = block[k];
    } else if (kSize == 2) {
      words[0] = first & 2 ? block[2] : block[0];
      words[kSize - 1] = first & 2 ? block[3] : block[1];
    } else {
      const uint32_t even = first & 2 ? block[2] : block[0], odd = first & 2 ? block[3] : block[1];
      words[0] = first & 1 ? odd : even;
    }
  }
}

// kWindow: the window is that wide and high, so that all its loads are under way together; 0: any window.
template <typename T, int kSize, int kWindow>
__global__ void __launch_bounds__(kThreads, 2)  // two blocks: with the bound unsaid, sm_80 spills 8 bytes
    SafForward(Task<T> task, Drop drop, const T* __restrict__ x, T* __restrict__ y, uint8_t* __restrict__ state) {
  using R = Compute<T>;
  for (int64_t index = GlobalThread(); index < task.places; index += GlobalThreads()) {
    const Place place = PlaceOf<kSize>(task, index);
    const int64_t row = place.row * task.stride_y - task.top, column = place.column * task.stride_x - task.left;
    const int64_t line = task.width * task.channels;
    const int64_t source = ((place.image * task.height + row) * task.width + column) * task.channels + place.channel;
    const int first = static_cast<int>(max(-row, int64_t{0}) * task.window_x + max(-column, int64_t{0}));
    R best[kSize];
    int at[kSize];
#pragma unroll
    for (int k = 0; k < kSize; ++k) best[k] = SafLowest<T>(), at[k] = first;
    if constexpr (kWindow > 0) {
      Vector<T, kSize> taps[kWindow * kWindow];
#pragma unroll
      for (int tap = 0; tap < kWindow * kWindow; ++tap) {
        const int64_t h = row + tap / kWindow, w = column + tap % kWindow;
        if (h < 0 || h >= task.height || w < 0 || w >= task.width) continue;
        taps[tap] = LoadVector<kSize>(x + (source + tap / kWindow * line + tap % kWindow * task.channels));
      }
#pragma unroll
      for (int tap = 0; tap < kWindow * kWindow; ++tap) {
        const int64_t h = row + tap / kWindow, w = column + tap % kWindow;
        if (h < 0 || h >= task.height || w < 0 || w >= task.width) continue;
#pragma unroll
        for (int k = 0; k < kSize; ++k) SafStep<R>(ToCompute(taps[tap].at[k]), tap, &best[k], &at[k]);
      }
    } else {
      const SafRange ys = SafTapsInside(place.row, task.height, task.window_y, task.stride_y, task.top);
      const SafRange xs = SafTapsInside(place.column, task.width, task.window_x, task.stride_x, task.left);
      for (int64_t a = ys.first; a <= ys.last; ++a) {
        for (int64_t b = xs.first; b <= xs.last; ++b) {
          const Vector<T, kSize> values = LoadVector<kSize>(x + (source + a * line + b * task.channels));
          const int tap = static_cast<int>(a * task.window_x + b);
#pragma unroll
          for (int k = 0; k < kSize; ++k) SafStep<R>(ToCompute(values.at[k]), tap, &best[k], &at[k]);
        }
      }
    }
    if (drop.active) {
      uint32_t words[kSize];
      const int64_t number = drop.per_channel ? place.image * task.channels + place.channel : index * kSize;
      RandomWords<kSize>(drop.key, number, words);
#pragma unroll
      for (int k = 0; k < kSize; ++k) {
        const bool dropped = words[k] < drop.threshold;
        best[k] = dropped ? R(0) : best[k] * task.scale;
        at[k] = dropped ? kSafDropped : at[k];
      }
    }
    Vector<T, kSize> result;
    Vector<uint8_t, kSize> bytes;
#pragma unroll
    for (int k = 0; k < kSize; ++k) {
      result.at[k] = FromCompute<T>(best[k]);
      bytes.at[k] = static_cast<uint8_t>(at[k]);
    }
    StoreVector(result, y + index * kSize);
    if (state != nullptr) StoreVector(bytes, state + index * kSize);
  }
}

// Windows that do not overlap: the pixels from one window to the next, all of which a single output can reach.
template <typename T, int kSize>
__global__ void __launch_bounds__(kThreads)
    SafCells(Task<T> task, const uint8_t* __restrict__ state, const T* __restrict__ dy, T* __restrict__ dx) {
  for (int64_t index = GlobalThread(); index < task.places; index += GlobalThreads()) {
    const Place cell = PlaceOf<kSize>(task, index);
    Vector<T, kSize> values{};
    Vector<uint8_t, kSize> bytes;
#pragma unroll
    for (int k = 0; k < kSize; ++k) bytes.at[k] = kSafDropped;
    if (cell.row < task.rows && cell.column < task.columns) {
      const int64_t from =
          ((cell.image * task.rows + cell.row) * task.columns + cell.column) * task.channels + cell.channel;
      values = LoadVector<kSize>(dy + from);
      bytes = LoadVector<kSize>(state + from);
#pragma unroll
      for (int k = 0; k < kSize; ++k) values.at[k] = FromCompute<T>(ToCompute(values.at[k]) * task.scale);
    }
    const int64_t row = cell.row * task.stride_y - task.top, column = cell.column * task.stride_x - task.left;
    const int64_t rows_end = min(task.stride_y, task.height - row),
                  columns_end = min(task.stride_x, task.width - column);
    for (int64_t a = max(-row, int64_t{0}); a < rows_end; ++a) {
      for (int64_t b = max(-column, int64_t{0}); b < columns_end; ++b) {
        const bool seen = a < task.window_y && b < task.window_x;
        const int tap = seen ? static_cast<int>(a * task.window_x + b) : -1;
        Vector<T, kSize> result;
#pragma unroll
        for (int k = 0; k < kSize; ++k) result.at[k] = bytes.at[k] == tap ? values.at[k] : T{};
        const int64_t pixel = (cell.image * task.height + row + a) * task.width + column + b;
        StoreVector(result, dx + pixel * task.channels + cell.channel);
      }
    }
  }
}

// Any windows: each pixel adds up the outputs that see it, in their order.
template <typename T, int kSize>
__global__ void __launch_bounds__(kThreads)
    SafGather(Task<T> task, const uint8_t* __restrict__ state, const T* __restrict__ dy, T* __restrict__ dx) {
  using R = Compute<T>;
  for (int64_t index = GlobalThread(); index < task.places; index += GlobalThreads()) {
    const Place pixel = PlaceOf<kSize>(task, index);
    const SafRange ys = OutputsOf(pixel.row, task.rows, task.window_y, task.by_stride_y, task.top);
    const SafRange xs = OutputsOf(pixel.column, task.columns, task.window_x, task.by_stride_x, task.left);
    R sum[kSize] = {};
    for (int64_t i = ys.first; i <= ys.last; ++i) {
      const int64_t a = pixel.row + task.top - i * task.stride_y;
      for (int64_t j = xs.first; j <= xs.last; ++j) {
        const int tap = static_cast<int>(a * task.window_x + (pixel.column + task.left - j * task.stride_x));
        const int64_t from = ((pixel.image * task.rows + i) * task.columns + j) * task.channels + pixel.channel;
        const Vector<T, kSize> values = LoadVector<kSize>(dy + from);
        const Vector<uint8_t, kSize> bytes = LoadVector<kSize>(state + from);
#pragma unroll
        for (int k = 0; k < kSize; ++k) sum[k] += bytes.at[k] == tap ? ToCompute(values.at[k]) : R(0);
      }
    }
    Vector<T, kSize> result;
#pragma unroll
    for (int k = 0; k < kSize; ++k) result.at[k] = FromCompute<T>(sum[k] * task.scale);
    StoreVector(result, dx + index * kSize);
  }
}

template <typename T, int kSize>
std::string LaunchForward(const SafPool2D& pool, SafKey key, const T* x, T* y, uint8_t* state, void* stream) {
  const Task<T> task(pool, pool.output_height(), pool.output_width(), kSize);
  const Drop drop{key, pool.threshold(), pool.rate > 0, pool.per_channel};
  const bool square = pool.window_y == pool.window_x;
  const auto kernel = square && pool.window_x == 2   ? SafForward<T, kSize, 2>
                      : square && pool.window_x == 3 ? SafForward<T, kSize, 3>
                                                     : SafForward<T, kSize, 0>;
  return Launch(kernel, task.grid(), stream, task, drop, x, y, state);
}

template <typename T, int kSize>
std::string LaunchGradient(const SafPool2D& pool, const uint8_t* state, const T* dy, T* dx, void* stream) {
  if (pool.window_y <= pool.stride_y && pool.window_x <= pool.stride_x && pool.stride_y <= kMaxCell &&
      pool.stride_y * pool.stride_x <= kMaxCell) {
    const Task<T> task(pool, BlocksFor(pool.height + pool.pad_y.before, pool.stride_y),
                       BlocksFor(pool.width + pool.pad_x.before, pool.stride_x), kSize);
    return Launch(SafCells<T, kSize>, task.grid(), stream, task, state, dy, dx);
  }
  const Task<T> task(pool, pool.height, pool.width, kSize);
  return Launch(SafGather<T, kSize>, task.grid(), stream, task, state, dy, dx);
}

// Whether threads can have 16 bytes of channels.
template <typename T>
bool InVectors(const SafPool2D& pool, const T* x, const T* y, const uint8_t* state) {
  constexpr int kSize = kVectorSize<T>;
  return pool.channels % kSize == 0 && IsAligned(x, 16) && IsAligned(y, 16) && IsAligned(state, kSize);
}

}  // namespace

template <typename T>
std::string SafPool2DForwardCuda(const SafPool2D& pool, SafKey key, const T* x, T* y, uint8_t* state, void* stream) {
  if (pool.y_elements() == 0) return "";
  if (InVectors(pool, x, y, state)) return LaunchForward<T, kVectorSize<T>>(pool, key, x, y, state, stream);
  return LaunchForward<T, 1>(pool, key, x, y, state, stream);
}

template <typename T>
std::string SafPool2DGradientCuda(const SafPool2D& pool, const uint8_t* state, const T* dy, T* dx, void* stream) {
  if (pool.x_elements() == 0) return "";
  if (InVectors(pool, dx, dy, state)) return LaunchGradient<T, kVectorSize<T>>(pool, state, dy, dx, stream);
  return LaunchGradient<T, 1>(pool, state, dy, dx, stream);
}

#define KERASCNN_INSTANTIATE(T)                                                                          \
  template std::string SafPool2DForwardCuda<T>(const SafPool2D&, SafKey, const T*, T*, uint8_t*, void*); \
  template std::string SafPool2DGradientCuda<T>(const SafPool2D&, const uint8_t*, const T*, T*, void*)
KERASCNN_INSTANTIATE(float);
KERASCNN_INSTANTIATE(double);
KERASCNN_INSTANTIATE(bfloat16);
KERASCNN_INSTANTIATE(half);
#undef KERASCNN_INSTANTIATE

}  // namespace kerascnn
