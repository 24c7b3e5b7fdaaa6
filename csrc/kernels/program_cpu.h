// Running a program on the CPU, its filters packed once.
#ifndef KERASCNN_KERNELS_PROGRAM_CPU_H_
#define KERASCNN_KERNELS_PROGRAM_CPU_H_

#include <cstdint>
#include <vector>

#include "common/parallel.h"
#include "kernels/program.h"
#include "kernels/program_plan.h"

namespace kerascnn {

// Elements of all packed filters of a program for images of that many channels.
int64_t ProgramPackedElements(const Program& program, const std::vector<MapShape>& shapes);

// constants [program.constant_elements] -> packed, 64-byte aligned. `shapes` are those of any plan: only their channels
// matter.
void ProgramPack(const Program& program, const std::vector<MapShape>& shapes, const float* constants, float* packed);

struct ProgramMemory {
  const float* constants;
  const float* packed;  // by ProgramPack()
  float* arena;         // [plan.memory_elements()], 64-byte aligned; contents need no initializing
  void* scratch;        // plan.memory_scratch_bytes(), 64-byte aligned
};

// Told when an instruction begins and ends, by the thread that calls for it: at the same time by several, where each
// does instructions for images of its own.
class ProgramWatch {
 public:
  virtual ~ProgramWatch() = default;
  virtual int64_t Begin(int64_t instruction) const = 0;  // what End() is told
  virtual void End(int64_t begun) const = 0;
};

// images [batch, height, width, channels] -> result, of the last value's shape.
void ProgramRun(const Program& program, const ProgramPlan& plan, const ProgramMemory& memory, const float* images,
                float* result, const ParallelFor& parallel, const ProgramWatch* watch = nullptr);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_PROGRAM_CPU_H_
