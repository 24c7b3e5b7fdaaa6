// Where the values of a program lie: one arena, used again as soon as a value has been read for the last time, and
// parts of a concatenation side by side where it wants them, so that it has nothing to do.
#ifndef KERASCNN_KERNELS_PROGRAM_PLAN_H_
#define KERASCNN_KERNELS_PROGRAM_PLAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/conv2d.h"
#include "kernels/program.h"

namespace kerascnn {

struct ProgramPlace {
  enum Where { kImages, kArena, kResult } where = kArena;
  int64_t offset = 0;     // in elements
  int64_t step = 0;       // elements between neighboring pixels
  bool in_place = false;  // part of a concatenation that lies where that wants it
};

struct ProgramPlan {
  int64_t batch = 0;
  int threads = 1;
  std::vector<MapShape> shapes;      // by value
  std::vector<ProgramPlace> places;  // by value
  int64_t arena_elements = 0, scratch_bytes = 0;

  // A plan for images of that shape; what is wrong, or "".
  static std::string Make(const Program& program, int64_t batch, MapShape images, int threads, ProgramPlan* plan);
};

// Whether a convolution goes to kernels/conv2d.h: it has groups, and more than one channel in each.
bool IsGrouped(const Program& program, const ProgramInstruction& instruction, const MapShape& x);

// That convolution.
Conv2D GroupedConv2D(const Program& program, const ProgramInstruction& instruction, int64_t batch, const MapShape& x);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_PROGRAM_PLAN_H_
