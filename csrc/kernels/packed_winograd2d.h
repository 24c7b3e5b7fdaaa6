// Winograd's F(2x2, 3x3) for inference: RunPackedConv2D() (kernels/packed_conv2d.h) for windows of 3x3 without stride
// or dilation, with 16 products for each pair of channels where 36 would do the same directly. See kernels/winograd2d.h
// for the source; here the filters are transformed and packed once, and all channels are one group.
#ifndef KERASCNN_KERNELS_PACKED_WINOGRAD2D_H_
#define KERASCNN_KERNELS_PACKED_WINOGRAD2D_H_

#include <cstdint>

#include "common/parallel.h"
#include "kernels/packed_conv2d.h"

namespace kerascnn {

// Whether it pays: with few channels the transforms cost more than they save, with many the sixteen filters, which are
// 1.8 times as large, come from memory.
bool IsPackedWinograd2D(int64_t kernel_height, int64_t kernel_width, int64_t stride_y, int64_t stride_x,
                        int64_t dilation_y, int64_t dilation_x, int64_t channels, int64_t filters);

// Elements of the packed filters.
int64_t PackedWinogradElements(int64_t channels, int64_t filters);

// w [3, 3, channels, filters] -> packed, 64-byte aligned.
void PackWinogradFilter(int64_t channels, int64_t filters, const float* w, float* packed);

// Bytes of working memory, 64-byte aligned, on that many threads; contents need no initializing.
int64_t PackedWinogradScratchBytes(int threads);

// conv.filter by PackWinogradFilter(); neither gate nor scale. Bits depend neither on the number of threads nor on the
// batch.
void RunPackedWinograd2D(const PackedConv2D& conv, void* scratch, const ParallelFor& parallel);

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_PACKED_WINOGRAD2D_H_
