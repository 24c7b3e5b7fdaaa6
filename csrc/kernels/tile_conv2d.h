// Convolution in bfloat16 by a matrix unit whose registers are tiles of 16 rows of 64 bytes (AMX).
//
// All kernels see the pixels of a few images as one long line: a row of pixels is followed by as many zeros as the taps
// reach beyond it, and an image by such rows, so that a tap is one distance along the line, whatever the pixel. With a
// stride each phase of it has a line of its own. Products are summed in float, as the unit does: subnormal numbers
// count as zero. The zeros are multiplied, too: near an infinite or NaN weight or pixel more results are NaN than those
// that the taps reach.
#ifndef KERASCNN_KERNELS_TILE_CONV2D_H_
#define KERASCNN_KERNELS_TILE_CONV2D_H_

#include <cstdint>

#include "common/parallel.h"
#include "common/types.h"
#include "kernels/conv2d.h"

namespace kerascnn {

// Whether the functions below may be called: there is a matrix unit, one group, and taps within 64 pixels.
bool IsTileConv2D(const Conv2D& conv);

// As Conv2DScratchBytes().
int64_t TileConv2DScratchBytes(const Conv2D& conv, Conv2DKind kind, int threads);

// kind kForward: x, w -> y, and the epilogue; kInputGradient: dy, w -> dx. For results that are not empty.
void TileConv2D(const Conv2D& conv, Conv2DKind kind, const bfloat16* source, const bfloat16* w, bfloat16* target,
                void* scratch, const ParallelFor& parallel, const Conv2DEpilogue<bfloat16>& epilogue);

// x, dy -> dw, for x and dy that are not empty.
void TileConv2DFilterGradient(const Conv2D& conv, const bfloat16* x, const bfloat16* dy, bfloat16* dw, void* scratch,
                              const ParallelFor& parallel);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_TILE_CONV2D_H_
