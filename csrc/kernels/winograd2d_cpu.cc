// Winograd's convolution on the CPU: a task is one group of one image. The loops are in winograd2d_simd.inc.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <new>
#include <thread>
#include <type_traits>
#include <utility>

#include "common/simd.h"
#include "common/types.h"
#include "kernels/conv2d_plan.h"
#include "kernels/winograd2d.h"

namespace kerascnn {
namespace {

constexpr int64_t kTiles = 14;     // transformed together: with a group of 16 they and its weights fill half of a
                                   // first-level cache
constexpr int64_t kSumTiles = 28;  // in the filter gradient, whose sums are read and written once for them
constexpr int64_t kSumParts = 8;   // of the filter gradient; a fixed number, as bits depend on it
constexpr int64_t kSharedBytes = 1 << 20;  // of all weights: a second-level cache holds them

// 2x2 targets each; tile (i, j) sees sources from row 2i - top and column 2j - left on.
struct WinogradTiles {
  int64_t rows, columns, top, left;
  int64_t strip;  // tile rows transformed together
};

// One group of one image.
template <typename T>
struct WinogradImage {
  T* pixels;
  int64_t height, width, line, step;  // pixels; elements between rows and between pixels
};

// How far ahead of what is read and written lies what the next task will read and write, in elements.
struct WinogradAhead {
  int64_t source, target;
};

}  // namespace
}  // namespace kerascnn

#define KERASCNN_SIMD_FILE "common/vector.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/winograd2d_simd.inc"
#include "common/simd_foreach.h"

namespace kerascnn {
namespace {

int64_t Lanes() {
  const CpuLevel level = BestCpuLevel();
  return level == CpuLevel::kAvx512 ? 16 : level == CpuLevel::kAvx2 ? 8 : 4;
}

struct WinogradPlan {
  const Conv2D& conv;
  WinogradTiles tiles;
  int64_t depth, groups;
  int64_t parts;  // filter gradient: partial sums

  WinogradPlan(const Conv2D& c, Conv2DKind kind) : conv(c), depth(c.group_channels), groups(c.groups()) {
    const bool gradient = kind == Conv2DKind::kInputGradient;
    const int64_t height = gradient ? c.height : c.output_height(), width = gradient ? c.width : c.output_width();
    tiles.rows = CeilDiv(height, 2), tiles.columns = CeilDiv(width, 2);
    tiles.top = gradient ? 2 - c.pad_y.before : c.pad_y.before;
    tiles.left = gradient ? 2 - c.pad_x.before : c.pad_x.before;
    const int64_t together = kind == Conv2DKind::kFilterGradient ? kSumTiles : kTiles;
    tiles.strip = std::max<int64_t>(1, std::min(tiles.rows, together / std::max<int64_t>(1, tiles.columns)));
    parts = std::max<int64_t>(1, std::min(c.batch, CeilDiv(kSumParts, groups)));
  }
  int64_t group_weights() const { return 16 * depth * depth; }
  // Transformed sources and targets of a strip.
  int64_t work() const { return ConvPlan::OddLines(32 * tiles.strip * tiles.columns * depth); }
  int64_t shared() const { return parts * groups * group_weights(); }
  template <typename T>
  static WinogradImage<T> X(const Conv2D& c, T* x, int64_t image, int64_t group) {
    const int64_t line = c.width * c.channels;
    return {x + image * c.height * line + group * c.group_channels, c.height, c.width, line, c.channels};
  }
  template <typename T>
  static WinogradImage<T> Y(const Conv2D& c, T* y, int64_t image, int64_t group) {
    const int64_t height = c.output_height(), width = c.output_width(), line = width * c.filters;
    return {y + image * height * line + group * c.group_channels, height, width, line, c.filters};
  }
};

// Work that every thread needs and one does, when the first asks for it.
class DoneOnce {
 public:
  static int64_t Bytes(int64_t count) { return (count * sizeof(std::atomic<int>) + 63) / 64 * 64; }
  DoneOnce(void* memory, int64_t count) : states_(static_cast<std::atomic<int>*>(memory)) {
    for (int64_t i = 0; i < count; ++i) new (states_ + i) std::atomic<int>(kOpen);
  }
  template <typename F>
  void Once(int64_t i, F&& work) const {
    if (states_[i].load(std::memory_order_acquire) == kDone) return;
    int open = kOpen;
    if (states_[i].compare_exchange_strong(open, kBegun, std::memory_order_acquire)) {
      work();
      states_[i].store(kDone, std::memory_order_release);
    } else {
      while (states_[i].load(std::memory_order_acquire) != kDone) std::this_thread::yield();
    }
  }

 private:
  enum { kOpen, kBegun, kDone };
  std::atomic<int>* states_;
};

struct WinogradScratch {
  float* shared;
  float* slots;
  int64_t slot;
  ScratchSlots free;
  DoneOnce done;  // a group's weights
  WinogradScratch(const WinogradPlan& plan, void* memory, int threads)
      : slot(plan.work()),
        free(memory, threads),
        done(static_cast<char*>(memory) + ScratchSlots::HeaderBytes(threads), plan.groups) {
    shared = reinterpret_cast<float*>(static_cast<char*>(memory) + HeaderBytes(plan, threads));
    slots = shared + plan.shared();
  }
  static int64_t HeaderBytes(const WinogradPlan& plan, int threads) {
    return ScratchSlots::HeaderBytes(threads) + DoneOnce::Bytes(plan.groups);
  }
};

}  // namespace

bool IsWinograd2D(const Conv2D& c, int element_bytes) {
  const int64_t depth = c.group_channels, lanes = Lanes();
  if (element_bytes == 8 || c.kernel_height != 3 || c.kernel_width != 3) return false;
  if (c.stride_y != 1 || c.stride_x != 1 || c.dilation_y != 1 || c.dilation_x != 1) return false;
  if ((depth != 16 && depth != 32) || depth % lanes != 0 || c.filters != c.channels) return false;
  // Of small images with odd sides too many of the targets would be computed in vain.
  const auto worthwhile = [](int64_t height, int64_t width) {
    return 16.0 * CeilDiv(height, 2) * CeilDiv(width, 2) < 7.0 * height * width;
  };
  return worthwhile(c.output_height(), c.output_width()) && worthwhile(c.height, c.width);
}

int64_t Winograd2DScratchBytes(const Conv2D& conv, Conv2DKind kind, int threads) {
  const WinogradPlan plan(conv, kind);
  const double strip = (double(plan.tiles.strip) * plan.tiles.columns + 1) * 32 * plan.depth;
  if (!(strip * (threads + 1.0) + double(plan.parts) * conv.filters * plan.depth * 16 < 1e17)) return -1;
  return WinogradScratch::HeaderBytes(plan, threads) + 4 * (plan.shared() + plan.work() * ScratchSlots::Count(threads));
}

template <typename T>
void Winograd2D(const Conv2D& conv, Conv2DKind kind, const T* source, const T* w, T* target, void* memory,
                const ParallelFor& parallel, const Conv2DEpilogue<T>& epilogue) {
  const WinogradPlan plan(conv, kind);
  const WinogradScratch scratch(plan, memory, parallel.threads());
  const bool gradient = kind == Conv2DKind::kInputGradient;
  const int64_t groups = plan.groups, weights = plan.group_weights();
  // Weights that a second-level cache holds are used image by image, others group by group.
  const bool images_first = groups * weights * 4 <= kSharedBytes;
  const int64_t cost = plan.tiles.rows * plan.tiles.columns * (weights / 24 + 40);
  const auto source_of = [&](int64_t image, int64_t group) {
    return gradient ? WinogradPlan::Y(conv, source, image, group) : WinogradPlan::X(conv, source, image, group);
  };
  const auto target_of = [&](int64_t image, int64_t group) {
    return gradient ? WinogradPlan::X(conv, target, image, group) : WinogradPlan::Y(conv, target, image, group);
  };
  parallel.Run(conv.batch * groups, cost, [&](int64_t begin, int64_t end) {
    const int slot = scratch.free.Acquire();
    float* work = scratch.slots + slot * scratch.slot;
    for (int64_t task = begin; task < end; ++task) {
      const auto image = [&](int64_t t) { return images_first ? t / groups : t % conv.batch; };
      // Images begin with different groups, so that threads transform the weights of different ones.
      const auto group = [&](int64_t t) {
        return images_first ? (t + image(t) * groups / conv.batch) % groups : t / conv.batch;
      };
      const int64_t next = std::min(task + 1, end - 1);
      const auto from = source_of(image(task), group(task));
      const auto to = target_of(image(task), group(task));
      const WinogradAhead ahead{source_of(image(next), group(next)).pixels - from.pixels,
                                target_of(image(next), group(next)).pixels - to.pixels};
      float* of_group = scratch.shared + group(task) * weights;
      scratch.done.Once(group(task),
                        [&] { KERASCNN_SIMD_CALL(WinogradWeights(conv, gradient, group(task), w, of_group)); });
      KERASCNN_SIMD_CALL(WinogradTargets(plan.tiles, from, of_group, plan.depth, work, to, ahead));
      ApplyEpilogue(epilogue, group(task) * plan.depth, plan.depth, to.height, to.line, to.width, to.step, to.pixels);
    }
    scratch.free.Release(slot);
  });
}

template <typename T>
void Winograd2DFilterGradient(const Conv2D& conv, const T* x, const T* dy, T* dw, void* memory,
                              const ParallelFor& parallel) {
  const WinogradPlan plan(conv, Conv2DKind::kFilterGradient);
  const WinogradScratch scratch(plan, memory, parallel.threads());
  const int64_t groups = plan.groups, weights = plan.group_weights(), part = groups * weights;
  const int64_t images = CeilDiv(conv.batch, plan.parts);
  const int64_t cost = images * plan.tiles.rows * plan.tiles.columns * (weights / 24 + 60);
  parallel.Run(groups * plan.parts, cost, [&](int64_t begin, int64_t end) {
    const int slot = scratch.free.Acquire();
    float* work = scratch.slots + slot * scratch.slot;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t group = task % groups, p = task / groups;
      float* sums = scratch.shared + p * part + group * weights;
      std::fill(sums, sums + weights, 0.0f);
      for (int64_t image = conv.batch * p / plan.parts; image < conv.batch * (p + 1) / plan.parts; ++image) {
        const WinogradAhead ahead{conv.height * conv.width * conv.channels,
                                  conv.output_height() * conv.output_width() * conv.filters};
        KERASCNN_SIMD_CALL(WinogradSums(plan.tiles, WinogradPlan::X(conv, x, image, group),
                                        WinogradPlan::Y(conv, dy, image, group), plan.depth, work, sums, ahead));
      }
    }
    scratch.free.Release(slot);
  });
  parallel.Run(groups, plan.parts * weights / 8, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      KERASCNN_SIMD_CALL(WinogradFilter(conv, g, scratch.shared + g * weights, part, plan.parts, dw));
    }
  });
}

#define KERASCNN_INSTANTIATE(T)                                                                             \
  template void Winograd2D<T>(const Conv2D&, Conv2DKind, const T*, const T*, T*, void*, const ParallelFor&, \
                              const Conv2DEpilogue<T>&);                                                    \
  template void Winograd2DFilterGradient<T>(const Conv2D&, const T*, const T*, T*, void*, const ParallelFor&);
KERASCNN_INSTANTIATE(float)
KERASCNN_INSTANTIATE(bfloat16)
KERASCNN_INSTANTIATE(half)
#undef KERASCNN_INSTANTIATE

}  // namespace kerascnn
