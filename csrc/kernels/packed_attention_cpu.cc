// Attention of short sequences on the CPU: what a task is, and its working memory. The loops are in
// packed_attention.inc.
#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "common/activation.h"
#include "common/simd.h"
#include "common/types.h"
#include "kernels/conv2d_plan.h"
#include "kernels/packed_attention.h"
#include "kernels/packed_tile.h"

namespace kerascnn {
namespace {

// Of one task.
struct AttentionScratch {
  int64_t* places;  // [tokens], pixels
  float* regions;   // [tokens]
  float *keys, *values, *scores;
};

int64_t Lines(int64_t bytes) { return (bytes + 63) / 64 * 64; }

struct ScratchSizes {
  int64_t places, regions, keys, values, scores;  // bytes, in this order
  ScratchSizes(int64_t tokens, int64_t size)
      : places(Lines(tokens * 8)),
        regions(Lines(tokens * 4)),
        keys(Lines(PackedPanelElements(size, tokens) * 4)),
        values(Lines(PackedPanelElements(tokens, size) * 4)),
        scores(CeilDiv(tokens, kPackedDepth) * PackedTileHeight() * kPackedRow * 4) {}
  int64_t all() const { return places + regions + keys + values + scores; }
};

}  // namespace
}  // namespace kerascnn

#define KERASCNN_SIMD_FILE "common/vector.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "common/activation.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "common/transpose.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/packed_tile.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/packed_attention.inc"
#include "common/simd_foreach.h"

namespace kerascnn {

int64_t PackedAttentionScratchBytes(int64_t tokens, int64_t size, int threads) {
  return ScratchSlots::HeaderBytes(threads) + ScratchSlots::Count(threads) * ScratchSizes(tokens, size).all();
}

void RunPackedAttention(const PackedAttention& attention, void* scratch, const ParallelFor& parallel) {
  const int64_t tokens = attention.tokens(), size = attention.size, heads = attention.heads;
  const int64_t sequences = attention.sequences(), pairs = attention.batch * sequences * heads;
  if (pairs == 0 || tokens == 0 || size == 0) return;
  const int threads = parallel.threads();
  const ScratchSlots slots(scratch, threads);
  const ScratchSizes sizes(tokens, size);
  char* const memory = static_cast<char*>(scratch) + ScratchSlots::HeaderBytes(threads);
  const int64_t tiles = CeilDiv(tokens, PackedTileHeight());
  // Where there are few heads, threads share their queries, and each packs the keys and values for itself.
  const int64_t parts = std::clamp<int64_t>(threads > 1 ? CeilDiv(2 * threads, pairs) : 1, 1, tiles);
  const int64_t cost = tokens * tokens * (size / PackedLanes() + 2) / parts;
  parallel.Run(pairs * parts, cost, [&](int64_t begin, int64_t end) {
    const int slot = slots.Acquire();
    char* at = memory + slot * sizes.all();
    const auto take = [&](int64_t bytes) { return at += bytes, at - bytes; };
    AttentionScratch own;
    own.places = reinterpret_cast<int64_t*>(take(sizes.places));
    own.regions = reinterpret_cast<float*>(take(sizes.regions));
    own.keys = reinterpret_cast<float*>(take(sizes.keys));
    own.values = reinterpret_cast<float*>(take(sizes.values));
    own.scores = reinterpret_cast<float*>(take(sizes.scores));
    for (int64_t task = begin; task < end; ++task) {
      const int64_t pair = task / parts, part = task % parts, head = pair % heads;
      const int64_t image = pair / heads / sequences, sequence = pair / heads % sequences;
      KERASCNN_SIMD_CALL(
          AttendTiles(attention, image, sequence, head, tiles, part * tiles / parts, (part + 1) * tiles / parts, own));
    }
    slots.Release(slot);
  });
}

}  // namespace kerascnn
