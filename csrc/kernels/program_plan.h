// Where the values of a program lie: one arena, used again as soon as a value has been read for the last time, and
// parts of a concatenation side by side where it wants them, so that it has nothing to do.
//
// Of several images the first instructions, whose maps are large and whose filters small, are done image by image, each
// on one thread: what they leave to each other stays in that thread's caches, in an arena of its own. What later
// instructions read lies in the arena of all. From where filters outweigh maps, all images share each filter.
#ifndef KERASCNN_KERNELS_PROGRAM_PLAN_H_
#define KERASCNN_KERNELS_PROGRAM_PLAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/conv2d.h"
#include "kernels/program.h"

namespace kerascnn {

struct ProgramPlace {
  enum Where { kImages, kArena, kResult, kOwnArena } where = kArena;
  int64_t offset = 0;     // in elements
  int64_t image = 0;      // elements between images; in a thread's own arena there is one
  int64_t step = 0;       // elements between neighboring pixels
  bool in_place = false;  // part of a concatenation that lies where that wants it
};

struct ProgramPlan {
  int64_t batch = 0;
  int threads = 1;
  std::vector<MapShape> shapes;      // by value
  std::vector<ProgramPlace> places;  // by value
  int64_t arena_elements = 0, scratch_bytes = 0;
  int64_t alone = 0;                                      // instructions that are done image by image
  int64_t own_arena_elements = 0, own_scratch_bytes = 0;  // what each thread needs for them

  // Of the arena of all and those of the threads, and of their working memory, each a whole number of cache lines.
  int64_t memory_elements() const;
  int64_t memory_scratch_bytes() const;

  // A plan for images of that shape; what is wrong, or "".
  static std::string Make(const Program& program, int64_t batch, MapShape images, int threads, ProgramPlan* plan);
};

// Whether a convolution goes to kernels/conv2d.h: it has groups, and more than one channel in each.
bool IsGrouped(const Program& program, const ProgramInstruction& instruction, const MapShape& x);

// That convolution.
Conv2D GroupedConv2D(const Program& program, const ProgramInstruction& instruction, int64_t batch, const MapShape& x);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_PROGRAM_PLAN_H_
