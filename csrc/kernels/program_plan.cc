#include "kernels/program_plan.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "common/check.h"
#include "kernels/conv2d_plan.h"
#include "kernels/packed_attention.h"
#include "kernels/packed_winograd2d.h"

namespace kerascnn {
namespace {

constexpr int64_t kLine = 16;  // elements; storages begin on a cache line

int64_t WholeLines(int64_t elements) { return RoundUp(elements, kLine); }

// A run of memory for a value, or for all values of a concatenation, from the first written to the last read.
struct Storage {
  int64_t elements = 0, first = INT64_MAX, last = -1, offset = 0;
  bool external = false;  // the images or the result
  bool own = false;       // in the arenas of threads
};

// Whether a value is its instruction's input under another shape.
bool IsView(const Program& program, int64_t v) {
  if (v == 0) return false;
  const ProgramKind kind = program.instructions[v - 1].kind;
  return kind == ProgramKind::kFlatten || kind == ProgramKind::kReshape;
}

// By value: whether it may lie in another one's storage, pixels further apart than its channels.
std::vector<bool> MayBeApart(const Program& program, const std::vector<MapShape>& shapes) {
  std::vector<bool> may(shapes.size(), true);
  may[0] = false;
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    const ProgramInstruction& op = program.instructions[i];
    if (op.gate >= 0) may[op.gate] = false;
    if (IsView(program, static_cast<int64_t>(i) + 1)) may[op.x] = may[i + 1] = false;
    if (op.kind == ProgramKind::kConv && IsGrouped(program, op, shapes[op.x])) may[op.x] = may[i + 1] = false;
  }
  return may;
}

// Storages that are in use at the same time get memory of their own, the largest first, each as low as it fits.
int64_t PlaceStorages(std::vector<Storage*> storages) {
  std::stable_sort(storages.begin(), storages.end(),
                   [](const Storage* a, const Storage* b) { return a->elements > b->elements; });
  std::vector<const Storage*> placed;  // by offset
  int64_t arena = 0;
  for (Storage* storage : storages) {
    int64_t offset = 0;
    for (const Storage* other : placed) {
      if (other->last < storage->first || storage->last < other->first) continue;
      if (offset + storage->elements <= other->offset) break;
      offset = std::max(offset, other->offset + other->elements);
    }
    storage->offset = offset;
    arena = std::max(arena, offset + storage->elements);
    const auto after =
        std::find_if(placed.begin(), placed.end(), [&](const Storage* other) { return other->offset > offset; });
    placed.insert(after, storage);
  }
  return arena;
}

// How many of the first instructions are done image by image. Each saves what it would read and write of maps that no
// cache holds, and costs a walk through its filter for each image.
int64_t Alone(const Program& program, const std::vector<MapShape>& shapes, int64_t batch, int threads) {
  const int64_t rounds = CeilDiv(batch, threads);
  if (batch < 2 || 4 * batch < 3 * rounds * threads) return 0;  // threads would wait for each other
  double saved = 0, most = 0;
  int64_t alone = 0;
  for (size_t i = 0; i + 1 < program.instructions.size(); ++i) {
    const ProgramInstruction& op = program.instructions[i];
    saved += double(shapes[i + 1].elements());
    ForReads(op, [&](int64_t read) { saved += double(shapes[read].elements()); });
    if (op.filter >= 0) saved -= double(program.constants[op.filter].elements);
    if (saved > most) most = saved, alone = static_cast<int64_t>(i) + 1;
  }
  return alone;
}

// The working memory of one instruction on so many threads, or what is wrong.
std::string ScratchOf(const Program& program, const ProgramInstruction& op, const std::vector<MapShape>& shapes,
                      int64_t batch, int threads, int64_t* bytes) {
  *bytes = 0;
  if (op.kind == ProgramKind::kConv && IsGrouped(program, op, shapes[op.x])) {
    const Conv2D conv = GroupedConv2D(program, op, batch, shapes[op.x]);
    const std::string problem = Conv2DCheck(conv);
    if (!problem.empty()) return problem;
    *bytes = Conv2DScratchBytes(conv, Conv2DKind::kForward, sizeof(float), threads);
    if (*bytes < 0) return "A grouped convolution must not need as much working memory as that.";
  } else if (op.kind == ProgramKind::kConv) {
    *bytes = PackedWinogradScratchBytes(threads);  // whatever convolution it is: pages that nobody writes cost nothing
  } else if (op.kind == ProgramKind::kAttention) {
    const MapShape& x = shapes[op.x];
    const int64_t tokens = op.side > 0 ? op.side * op.side : x.pixels(), size = x.channels / 3 / op.heads;
    if (!Fits({tokens + 16, size + 16, 64, threads + 1})) {
      return "Attention must not need as much working memory as that.";
    }
    *bytes = PackedAttentionScratchBytes(tokens, size, threads);
  }
  return "";
}

}  // namespace

int64_t ProgramPlan::memory_elements() const {
  return WholeLines(arena_elements) + ScratchSlots::Count(threads) * WholeLines(own_arena_elements);
}

int64_t ProgramPlan::memory_scratch_bytes() const {
  const int64_t own = own_scratch_bytes == 0 ? 0 : ScratchSlots::Count(threads) * RoundUp(own_scratch_bytes, 64);
  return RoundUp(scratch_bytes, 64) + own + (alone > 0 ? ScratchSlots::HeaderBytes(threads) : 0);
}

bool IsGrouped(const Program& program, const ProgramInstruction& instruction, const MapShape& x) {
  const std::vector<int64_t>& filter = program.constants[instruction.filter].extents;
  return filter[2] != x.channels && !(filter[2] == 1 && filter[3] == x.channels);
}

Conv2D GroupedConv2D(const Program& program, const ProgramInstruction& instruction, int64_t batch, const MapShape& x) {
  const std::vector<int64_t>& filter = program.constants[instruction.filter].extents;
  const ProgramWindow& window = instruction.window;
  Conv2D conv;
  conv.batch = batch, conv.height = x.height, conv.width = x.width, conv.channels = x.channels;
  conv.kernel_height = filter[0], conv.kernel_width = filter[1];
  conv.group_channels = filter[2], conv.filters = filter[3];
  conv.stride_y = window.stride_y, conv.stride_x = window.stride_x;
  conv.dilation_y = window.dilation_y, conv.dilation_x = window.dilation_x;
  conv.pad_y = window.pad_y, conv.pad_x = window.pad_x;
  if (window.same()) Conv2DSetSamePadding(&conv);
  return conv;
}

std::string ProgramPlan::Make(const Program& program, int64_t batch, MapShape images, int threads, ProgramPlan* plan) {
  *plan = ProgramPlan();
  plan->batch = batch, plan->threads = threads;
  std::vector<MapShape>& shapes = plan->shapes;
  const std::string wrong = ProgramShapes(program, batch, images, &shapes);
  if (!wrong.empty()) return wrong;
  const int64_t values = static_cast<int64_t>(shapes.size());

  // parent[v]: the value in whose storage v lies, that many elements from its start; itself where in its own.
  std::vector<int64_t> parent(values), shift(values, 0);
  std::iota(parent.begin(), parent.end(), 0);
  const std::vector<bool> apart = MayBeApart(program, shapes);
  plan->places.resize(values);
  for (int64_t v = 1; v < values; ++v) {
    const ProgramInstruction& op = program.instructions[v - 1];
    if (IsView(program, v)) parent[v] = op.x;
    int64_t channel = 0;
    for (int64_t part : op.kind == ProgramKind::kConcat ? op.parts : std::vector<int64_t>()) {
      if (apart[part] && parent[part] == part && part != v) {
        parent[part] = v, shift[part] = channel, plan->places[part].in_place = true;
      }
      channel += shapes[part].channels;
    }
  }
  plan->alone = Alone(program, shapes, batch, threads);
  for (int64_t i = 0; i < values - 1; ++i) {
    const bool own = i < plan->alone;
    int64_t bytes;
    const std::string problem =
        ScratchOf(program, program.instructions[i], shapes, own ? 1 : batch, own ? 1 : threads, &bytes);
    if (!problem.empty()) return problem;
    int64_t& most = own ? plan->own_scratch_bytes : plan->scratch_bytes;
    most = std::max(most, bytes);
  }
  const auto root = [&](int64_t v, int64_t* offset) {
    for (*offset = 0; parent[v] != v; v = parent[v]) *offset += shift[v];
    return v;
  };

  std::map<int64_t, Storage> storages;  // by the value whose it is
  int64_t unused;
  for (int64_t v = 0; v < values; ++v) {
    Storage& storage = storages[root(v, &unused)];
    storage.first = std::min(storage.first, v), storage.last = std::max(storage.last, v);
    if (v > 0) {
      ForReads(program.instructions[v - 1], [&](int64_t read) {
        Storage& source = storages[root(read, &unused)];
        source.last = std::max(source.last, v);
      });
    }
  }
  const int64_t result = root(values - 1, &unused);
  std::vector<Storage*> inner, own;
  for (auto& [v, storage] : storages) {
    storage.external = v == 0 || v == result;
    storage.own = !storage.external && storage.last <= plan->alone;
    storage.elements = WholeLines((storage.own ? 1 : batch) * shapes[v].elements());
    if (!storage.external) (storage.own ? own : inner).push_back(&storage);
  }
  plan->arena_elements = PlaceStorages(inner), plan->own_arena_elements = PlaceStorages(own);
  for (int64_t v = 0; v < values; ++v) {
    ProgramPlace& place = plan->places[v];
    int64_t offset;
    const int64_t owner = root(v, &offset);
    const Storage& storage = storages[owner];
    place.where = owner == 0        ? ProgramPlace::kImages
                  : owner == result ? ProgramPlace::kResult
                  : storage.own     ? ProgramPlace::kOwnArena
                                    : ProgramPlace::kArena;
    place.offset = offset + storage.offset, place.image = shapes[owner].elements();
    // A map under another shape lies as the map does; all others step as their storage's owner.
    place.step = IsView(program, v) ? shapes[v].channels : shapes[owner].channels;
  }
  return "";
}

}  // namespace kerascnn
