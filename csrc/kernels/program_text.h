// Instructions in words, for profilers and for people.
#ifndef KERASCNN_KERNELS_PROGRAM_TEXT_H_
#define KERASCNN_KERNELS_PROGRAM_TEXT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/program.h"

namespace kerascnn {

// What instruction `number` does to one image, such as "conv 3x3/2 56x56x64 > 28x28x128 residual relu"; windows are
// height x width / stride, "depthwise" and "grouped" are convolutions too. `shapes` are those of a plan.
std::string ProgramText(const Program& program, const std::vector<MapShape>& shapes, int64_t number);

// The multiply-adds of its products, for one image; 0 of what has none.
int64_t ProgramMultiplyAdds(const Program& program, const std::vector<MapShape>& shapes, int64_t number);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_PROGRAM_TEXT_H_
