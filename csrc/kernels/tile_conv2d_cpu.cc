// tile_conv2d.h on the CPU: a task is a chunk of images, and for the filter gradient a part of the filters.
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "common/simd.h"
#include "common/tiles.h"
#include "kernels/tile_conv2d.h"
#include "kernels/tile_conv2d_plan.h"

namespace kerascnn {
namespace {

constexpr int64_t kReach = 64;
constexpr int64_t kPiece = 448;              // positions whose pairs and columns a first-level cache holds
constexpr int64_t kTasks = 8;                // of the filter gradient; a fixed number, as bits depend on it
constexpr int64_t kPartialBytes = 16 << 20;  // of its partial sums

// Working memory of one thread.
struct TileScratch {
  bfloat16 *lines, *pairs, *target_line, *columns;
};

}  // namespace
}  // namespace kerascnn

namespace kerascnn {
namespace emulated {
namespace {
// The first says what the second is made of.
// clang-format off
#include "kernels/tile_emulated.inc"
#include "kernels/tile_conv2d.inc"
// clang-format on
}  // namespace
}  // namespace emulated
}  // namespace kerascnn

#ifdef KERASCNN_TILES_AMX
#ifdef __clang__
#pragma clang attribute push(                                                                                 \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target( \
    "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16,prefer-vector-width=512")
#endif
namespace kerascnn {
namespace amx {
namespace {
// The first says what the second is made of.
// clang-format off
#include "kernels/tile_amx.inc"
#include "kernels/tile_conv2d.inc"
// clang-format on
}  // namespace
}  // namespace amx
}  // namespace kerascnn
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#define KERASCNN_TILE_CALL(...) \
  (BestTileUnit() == TileUnit::kAmx ? ::kerascnn::amx::__VA_ARGS__ : ::kerascnn::emulated::__VA_ARGS__)
#else
#define KERASCNN_TILE_CALL(...) ::kerascnn::emulated::__VA_ARGS__
#endif

namespace kerascnn {
namespace {

int64_t Lines(int64_t elements) { return RoundUp(elements, 32); }  // whole cache lines of bfloat16

// How the filter gradient is cut: a task is a slice of channels, a slice of filters, and one of `parts` of the chunks.
struct FilterParts {
  int64_t ins, outs, parts, slice;  // slice: sums of a task
  explicit FilterParts(const TileJob& job) {
    ins = CeilDiv(job.in_blocks(), job.in_slice), outs = CeilDiv(job.out_blocks(), job.out_slice);
    slice = job.out_slice * job.taps.size() * job.in_slice * 256;
    const int64_t fit = kPartialBytes / (ins * outs * slice * int64_t{sizeof(float)});
    parts = std::max<int64_t>(1, std::min({job.chunks, CeilDiv(kTasks, ins * outs), fit}));
  }
  int64_t tasks() const { return ins * outs * parts; }
};

// Elements of each part of a thread's working memory.
struct TileSlot {
  int64_t lines = 0, pairs = 0, target_line = 0, columns = 0;
  TileSlot(const TileJob& job, Conv2DKind kind) {
    lines = Lines(job.planes.size() * job.positions() * job.depth);
    if (kind != Conv2DKind::kFilterGradient) return;
    pairs = 2 * lines;
    target_line = columns = Lines(job.padded() * job.out_slice * 16);
  }
  int64_t elements() const { return lines + pairs + target_line + columns; }
  TileScratch At(bfloat16* memory) const {
    return {memory, memory + lines, memory + lines + pairs, memory + lines + pairs + target_line};
  }
};

int64_t FilterElements(const TileJob& job) {
  return CeilDiv(job.target_channels, 16) * job.taps.size() * job.depth * 16;
}

}  // namespace

bool IsTileConv2D(const Conv2D& conv) {
  if (BestTileUnit() == TileUnit::kNone || conv.groups() != 1 || conv.channels < 8 || conv.filters < 8) return false;
  const auto near = [](int64_t kernel, int64_t stride, int64_t dilation, const Padding& pad) {
    return kernel <= kReach && dilation <= kReach && stride <= kReach && (kernel - 1) * dilation <= kReach &&
           pad.before <= kReach && pad.after <= kReach;
  };
  return near(conv.kernel_height, conv.stride_y, conv.dilation_y, conv.pad_y) &&
         near(conv.kernel_width, conv.stride_x, conv.dilation_x, conv.pad_x);
}

int64_t TileConv2DScratchBytes(const Conv2D& conv, Conv2DKind kind, int threads) {
  int64_t bytes = 0;
  for (const TileJob& job : TileJob::Make(conv, kind)) {
    int64_t shared = FilterElements(job) * sizeof(bfloat16);
    if (kind == Conv2DKind::kFilterGradient) {
      const FilterParts cut(job);
      shared = cut.tasks() * cut.slice * sizeof(float);
    }
    const int64_t slots = ScratchSlots::Count(threads) * TileSlot(job, kind).elements() * sizeof(bfloat16);
    bytes = std::max(bytes, ScratchSlots::HeaderBytes(threads) + RoundUp(shared, 64) + slots);
  }
  return bytes;
}

void TileConv2D(const Conv2D& conv, Conv2DKind kind, const bfloat16* source, const bfloat16* w, bfloat16* target,
                void* scratch, const ParallelFor& parallel, const Conv2DEpilogue<bfloat16>& epilogue) {
  const bool gradient = kind == Conv2DKind::kInputGradient;
  const int64_t height = gradient ? conv.height : conv.output_height();
  const int64_t width = gradient ? conv.width : conv.output_width();
  const ScratchSlots free(scratch, parallel.threads());
  auto* const filters =
      reinterpret_cast<bfloat16*>(static_cast<char*>(scratch) + ScratchSlots::HeaderBytes(parallel.threads()));
  for (const TileJob& job : TileJob::Make(conv, kind)) {
    const int64_t blocks = CeilDiv(job.target_channels, 16);
    parallel.Run(blocks, job.taps.size() * job.depth * 4, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) KERASCNN_TILE_CALL(PackFilters(job, gradient, w, b, filters));
    });
    const TileSlot slot(job, kind);
    bfloat16* const slots = filters + Lines(FilterElements(job));
    const int64_t cost = job.length() * job.taps.size() * job.depth * blocks / 32;
    parallel.Run(job.chunks, cost, [&](int64_t begin, int64_t end) {
      const int mine = free.Acquire();
      for (int64_t chunk = begin; chunk < end; ++chunk) {
        KERASCNN_TILE_CALL(
            ConvolveChunk(job, chunk, source, filters, slots + mine * slot.elements(), target, height, width));
      }
      free.Release(mine);
    });
  }
  if (epilogue.bias != nullptr || epilogue.relu) {
    parallel.Run(conv.batch, height * width * conv.filters / 4, [&](int64_t begin, int64_t end) {
      ApplyEpilogue(epilogue, 0, conv.filters, (end - begin) * height, width * conv.filters, width, conv.filters,
                    target + begin * height * width * conv.filters);
    });
  }
}

void TileConv2DFilterGradient(const Conv2D& conv, const bfloat16* x, const bfloat16* dy, bfloat16* dw, void* scratch,
                              const ParallelFor& parallel) {
  const TileJob job = TileJob::Make(conv, Conv2DKind::kFilterGradient)[0];
  const FilterParts cut(job);
  const TileSlot slot(job, Conv2DKind::kFilterGradient);
  const ScratchSlots free(scratch, parallel.threads());
  auto* const sums =
      reinterpret_cast<float*>(static_cast<char*>(scratch) + ScratchSlots::HeaderBytes(parallel.threads()));
  auto* const slots = reinterpret_cast<bfloat16*>(sums + RoundUp(cut.tasks() * cut.slice, 16));
  const int64_t taps = job.taps.size(), outs = cut.outs, ins = cut.ins;
  const int64_t cost = job.chunks / cut.parts * job.length() * taps * job.in_slice * job.out_slice / 2;
  // Sums of a task: [part][slice of filters][slice of channels].
  parallel.Run(cut.tasks(), cost, [&](int64_t begin, int64_t end) {
    const int mine = free.Acquire();
    const TileScratch memory = slot.At(slots + mine * slot.elements());
    for (int64_t task = begin; task < end; ++task) {
      const int64_t part = task / (outs * ins), out = task / ins % outs, in = task % ins;
      float* to = sums + task * cut.slice;
      std::fill(to, to + cut.slice, 0.0f);
      for (int64_t chunk = job.chunks * part / cut.parts; chunk < job.chunks * (part + 1) / cut.parts; ++chunk) {
        KERASCNN_TILE_CALL(AddChunk(job, chunk, x, dy, out * job.out_slice, in * job.in_slice, memory, to));
      }
    }
    free.Release(mine);
  });
  const int64_t channels = conv.channels, filters = conv.filters, in_blocks = job.in_blocks();
  parallel.Run(taps * in_blocks, cut.parts * job.out_blocks() * 512, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t tap = i / in_blocks, c_block = i % in_blocks;
      for (int64_t b = 0; b < job.out_blocks(); ++b) {
        const int64_t tile = ((b % job.out_slice * taps + tap) * job.in_slice + c_block % job.in_slice) * 256;
        const int64_t slice = b / job.out_slice * ins + c_block / job.in_slice;
        float total[256] = {};
        for (int64_t part = 0; part < cut.parts; ++part) {
          const float* from = sums + (part * outs * ins + slice) * cut.slice + tile;
          for (int64_t k = 0; k < 256; ++k) total[k] += from[k];
        }
        for (int64_t c = 0; c < std::min<int64_t>(16, channels - c_block * 16); ++c) {
          bfloat16* to = dw + (job.taps[tap].weight * channels + c_block * 16 + c) * filters + b * 16;
          for (int64_t o = 0; o < std::min<int64_t>(16, filters - b * 16); ++o) {
            to[o] = FromCompute<bfloat16>(total[o * 16 + c]);
          }
        }
      }
    }
  });
}

}  // namespace kerascnn
