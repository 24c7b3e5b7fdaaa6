#include "kernels/program_plan.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "common/check.h"
#include "kernels/packed_attention.h"
#include "kernels/packed_winograd2d.h"

namespace kerascnn {
namespace {

constexpr int64_t kLine = 16;  // elements; storages begin on a cache line

// A run of memory for a value, or for all values of a concatenation, from the first written to the last read.
struct Storage {
  int64_t elements = 0, first = INT64_MAX, last = -1, offset = 0;
  bool external = false;
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

}  // namespace

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
    if (op.kind == ProgramKind::kConv && IsGrouped(program, op, shapes[op.x])) {
      const Conv2D conv = GroupedConv2D(program, op, batch, shapes[op.x]);
      const std::string problem = Conv2DCheck(conv);
      if (!problem.empty()) return problem;
      const int64_t bytes = Conv2DScratchBytes(conv, Conv2DKind::kForward, sizeof(float), threads);
      if (bytes < 0) return "A grouped convolution must not need as much working memory as that.";
      plan->scratch_bytes = std::max(plan->scratch_bytes, bytes);
    }
  }
  for (const ProgramInstruction& op : program.instructions) {
    if (op.kind != ProgramKind::kAttention) continue;
    const MapShape& x = shapes[op.x];
    const int64_t tokens = op.side > 0 ? op.side * op.side : x.pixels(), size = x.channels / 3 / op.heads;
    if (!Fits({tokens + 16, size + 16, 64, threads + 1})) {
      return "Attention must not need as much working memory as that.";
    }
    plan->scratch_bytes = std::max(plan->scratch_bytes, PackedAttentionScratchBytes(tokens, size, threads));
  }
  // Whichever convolutions there are: pages that nobody writes cost nothing.
  plan->scratch_bytes = std::max(plan->scratch_bytes, PackedWinogradScratchBytes(threads));
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
  std::vector<Storage*> inner;
  for (auto& [v, storage] : storages) {
    storage.external = v == 0 || v == result;
    storage.elements = (batch * shapes[v].elements() + kLine - 1) / kLine * kLine;
    if (!storage.external) inner.push_back(&storage);
  }
  plan->arena_elements = PlaceStorages(inner);
  for (int64_t v = 0; v < values; ++v) {
    ProgramPlace& place = plan->places[v];
    int64_t offset;
    const int64_t owner = root(v, &offset);
    place.where = owner == 0 ? ProgramPlace::kImages : owner == result ? ProgramPlace::kResult : ProgramPlace::kArena;
    place.offset = offset + storages[owner].offset;
    // A map under another shape lies as the map does; all others step as their storage's owner.
    place.step = IsView(program, v) ? shapes[v].channels : shapes[owner].channels;
  }
  return "";
}

}  // namespace kerascnn
