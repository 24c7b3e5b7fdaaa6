// How the CPU kernels of conv2d cut their work: channel blocks, strips of rows, and the taps that each output sees.
//
// All three kernels are stated in terms of a source and a target: forward x -> y, input gradient dy -> dx, filter
// gradient x -> y with the sum over positions instead of taps.
#ifndef KERASCNN_KERNELS_CONV2D_PLAN_H_
#define KERASCNN_KERNELS_CONV2D_PLAN_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <new>

#include "kernels/conv2d.h"

namespace kerascnn {

inline int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t RoundUp(int64_t n, int64_t unit) { return CeilDiv(n, unit) * unit; }
inline int64_t FloorDiv(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

// One spatial axis. The targets of phase p are p, p + phases, ...; the q-th of them reads sources
// q * source_stride + first + j * source_step for j < taps, with filter tap filter_first + j * filter_step.
struct ConvPhase {
  int64_t targets, first, taps, filter_first, filter_step;
};

struct ConvAxis {
  int64_t source_size, target_size, phases, source_stride, source_step;
  int64_t kernel, stride, dilation, before;
  bool gather_gradient;   // sources are outputs of the convolution
  int64_t lowest, span;   // sources seen by target q of any phase lie in q * source_stride + lowest + [0, span)
  int64_t packed_stride;  // source_stride, unless that would copy sources nobody reads

  static ConvAxis Make(int64_t x_size, int64_t y_size, int64_t kernel, int64_t stride, int64_t dilation, int64_t before,
                       bool gradient);
  ConvPhase Phase(int64_t p) const;
  // Sources from q * source_stride + lowest on, copied for `targets` targets.
  int64_t Packed(int64_t targets) const { return (targets - 1) * packed_stride + span; }
  int64_t SourceOf(int64_t packed) const {
    return packed / packed_stride * source_stride + packed % packed_stride + lowest;
  }
  int64_t rows() const { return CeilDiv(target_size, phases); }
};

struct ConvBlock {
  int64_t group, source_first, source_count, target_first, target_count;
};

struct ConvPlan {
  const Conv2D* conv;
  bool gradient;  // the source is dy
  ConvAxis y, x;
  int64_t source_channels, target_channels, source_group, target_group;
  int64_t lanes;                        // elements of a vector register
  bool narrow;                          // group <= lanes: a block holds several whole groups
  int64_t fold;                         // narrow: partial sums of a target that lie in neighboring lanes; 1: exchange
  int64_t block, blocks, group_blocks;  // target channels of a block, blocks in all and in a group
  int64_t steps;                        // sources summed per tap: the group when narrow, else source_group
  int64_t chunk, chunks;                // blocks in a task, chunks in all
  int64_t depth;                        // elements of a packed source pixel: a narrow block, or a group
  int64_t planes;                       // packed blocks or groups of a chunk, each with all its pixels together
  bool in_place;                        // sources are read where they are, not packed: those of a block fill a vector
  int64_t strip, strips;                // target rows (of each phase) in a strip, strips of an image
  int64_t parts;                        // filter gradient: partial sums

  static ConvPlan Make(const Conv2D& conv, Conv2DKind kind, int64_t element_bytes, int64_t vector_bytes);
  void CutChannels(int64_t wanted);
  ConvBlock Block(int64_t b) const;
  // The plane that block b reads, in a chunk that starts at block `first`.
  int64_t Plane(int64_t first, int64_t b) const { return narrow ? b - first : b / group_blocks - first / group_blocks; }
  int64_t items() const { return conv->batch * strips; }
  int64_t packed_columns() const { return x.Packed(x.rows()); }
  int64_t packed_rows(int64_t targets) const { return y.Packed(targets); }
  int64_t packed_row() const { return packed_columns() * depth; }
  // In elements of the computing type, rounded up to whole cache lines.
  int64_t source_plane() const { return OddLines(packed_rows(strip) * packed_row()); }
  // Sources of a task; or, in place, those of one block's targets at the left and right edges.
  int64_t source_slot() const { return in_place ? packed_rows(strip) * edge_row() : planes * source_plane(); }
  int64_t edge_row() const { return (packed_columns() + x.span) * depth; }
  int64_t target_plane() const { return OddLines(strip * x.rows() * block); }  // filter gradient: rows of dy
  int64_t target_slot() const { return chunk * target_plane(); }
  int64_t tap_weights() const { return steps * block; }
  int64_t taps() const { return conv->kernel_height * conv->kernel_width; }
  int64_t block_weights() const { return taps() * tap_weights(); }
  int64_t line() const { return Round(x.target_size * block); }  // one row of results
  static int64_t Round(int64_t n) { return (n + 15) / 16 * 16; }
  // At least n elements, and an odd number of cache lines: planes so long spread over all sets of a cache.
  static int64_t OddLines(int64_t n) { return Round(n) / 16 % 2 == 0 ? Round(n) + 16 : Round(n); }
};

// Working memory for the bodies that run at the same time: never more than the pool's threads and the caller.
class ScratchSlots {
 public:
  static int64_t HeaderBytes(int threads) { return (Count(threads) * sizeof(std::atomic<int>) + 63) / 64 * 64; }
  static int Count(int threads) { return threads + 1; }
  ScratchSlots(void* memory, int threads) : taken_(static_cast<std::atomic<int>*>(memory)), count_(Count(threads)) {
    for (int i = 0; i < count_; ++i) new (taken_ + i) std::atomic<int>(0);
  }
  int Acquire() const {
    for (int i = 0;; i = (i + 1) % count_) {
      if (taken_[i].exchange(1, std::memory_order_acquire) == 0) return i;
    }
  }
  void Release(int i) const { taken_[i].store(0, std::memory_order_release); }

 private:
  std::atomic<int>* taken_;
  int count_;
};

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_CONV2D_PLAN_H_
