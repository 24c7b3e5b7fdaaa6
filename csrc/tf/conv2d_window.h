// The attributes and extents that Kerascnn>Conv2D and Kerascnn>DeformConv2D share.
#ifndef KERASCNN_TF_CONV2D_WINDOW_H_
#define KERASCNN_TF_CONV2D_WINDOW_H_

#include <array>
#include <string>
#include <vector>

#include "kernels/conv2d.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tf/common.h"

namespace kerascnn {

namespace tf = tensorflow;

struct Window {
  Conv2D conv;  // without the tensors' extents
  bool same = false;
};

// Reads the attributes, from an OpKernelConstruction or an InferenceContext.
template <typename Source>
absl::Status GetWindow(Source* source, Window* window) {
  std::vector<int64_t> strides, dilations, pads;
  std::string padding;
  TF_RETURN_IF_ERROR(source->GetAttr("strides", &strides));
  TF_RETURN_IF_ERROR(source->GetAttr("dilations", &dilations));
  TF_RETURN_IF_ERROR(source->GetAttr("padding", &padding));
  TF_RETURN_IF_ERROR(source->GetAttr("explicit_padding", &pads));
  if (strides.size() != 2 || dilations.size() != 2) {
    return Say("strides and dilations must have two numbers, vertical and horizontal.");
  }
  if (pads.size() != (padding == "EXPLICIT" ? 4 : 0)) {
    return Say("explicit_padding must be top, bottom, left, right where padding is EXPLICIT, and empty elsewhere.");
  }
  Conv2D& conv = window->conv;
  conv.stride_y = strides[0], conv.stride_x = strides[1];
  conv.dilation_y = dilations[0], conv.dilation_x = dilations[1];
  if (!pads.empty()) conv.pad_y = {pads[0], pads[1]}, conv.pad_x = {pads[2], pads[3]};
  window->same = padding == "SAME";
  return Say(Conv2DCheckWindow(conv));
}

using Extents = std::array<int64_t, 4>;

inline absl::Status Resolve(const Window& window, const Extents& x, const Extents& w, Conv2D* conv) {
  *conv = window.conv;
  conv->batch = x[0], conv->height = x[1], conv->width = x[2], conv->channels = x[3];
  conv->kernel_height = w[0], conv->kernel_width = w[1], conv->group_channels = w[2], conv->filters = w[3];
  TF_RETURN_IF_ERROR(Say(Conv2DCheck(*conv)));
  if (!window.same) return absl::OkStatus();
  Conv2DSetSamePadding(conv);
  return Say(Conv2DCheck(*conv));
}

// Resolve() for tensors that are there: in shapes that are partly unknown nothing can be said about the fit.
inline absl::Status ResolveFitting(const Window& window, const Extents& x, const Extents& w, Conv2D* conv) {
  TF_RETURN_IF_ERROR(Resolve(window, x, w, conv));
  return Say(Conv2DCheckFit(*conv));
}

#define KERASCNN_WINDOW_ATTRIBUTES                    \
  Attr("T: {half, bfloat16, float, double}")          \
      .Attr("strides: list(int)")                     \
      .Attr("padding: {'SAME', 'VALID', 'EXPLICIT'}") \
      .Attr("explicit_padding: list(int) = []")       \
      .Attr("dilations: list(int) = [1, 1]")

inline absl::Status ExtentsOf(const tf::Tensor& tensor, const char* name, Extents* extents) {
  if (tensor.dims() != 4) {
    return Invalid(name, " must have four dimensions. Received: ", tensor.shape().DebugString());
  }
  for (int i = 0; i < 4; ++i) (*extents)[i] = tensor.dim_size(i);
  return absl::OkStatus();
}

}  // namespace kerascnn

#endif  // KERASCNN_TF_CONV2D_WINDOW_H_
