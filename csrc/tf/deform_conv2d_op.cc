// TensorFlow ops Kerascnn>DeformConv2D and Kerascnn>DeformConv2DGradient. The formula is in kernels/deform_conv2d.h;
// the groups follow from the channels of x and of the filters, the offset groups from the offset's last extent. Without
// the attribute `modulated` the mask is an empty tensor of any rank.
#include <string>
#include <type_traits>

#include "kernels/deform_conv2d.h"
#include "kernels/deform_conv2d_cuda.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tf/common.h"
#include "tf/conv2d_window.h"

namespace kerascnn {
namespace {

using tf::shape_inference::DimensionHandle;
using tf::shape_inference::InferenceContext;
using tf::shape_inference::ShapeHandle;

// From x, filters, and the last extent of the offset.
absl::Status ResolveDeform(const Window& window, const Extents& x, const Extents& w, int64_t offset_depth,
                           DeformConv2D* deform) {
  TF_RETURN_IF_ERROR(Resolve(window, x, w, &deform->conv));
  const int64_t each = 2 * deform->taps();
  if (offset_depth % each != 0) {
    return Invalid("offset must have offset groups * filters' height * width * 2 channels. Received: ", offset_depth,
                   " for ", deform->taps(), " kernel positions");
  }
  deform->offset_groups = offset_depth / each;
  return Say(DeformConv2DCheck(*deform));
}

absl::Status ForwardShape(InferenceContext* context) {
  Window window;
  TF_RETURN_IF_ERROR(GetWindow(context, &window));
  bool modulated;
  TF_RETURN_IF_ERROR(context->GetAttr("modulated", &modulated));
  ShapeHandle x, w, offset, mask;
  TF_RETURN_IF_ERROR(context->WithRank(context->input(0), 4, &x));
  TF_RETURN_IF_ERROR(context->WithRank(context->input(1), 4, &w));
  TF_RETURN_IF_ERROR(context->WithRank(context->input(2), 4, &offset));
  if (modulated) TF_RETURN_IF_ERROR(context->WithRank(context->input(3), 4, &mask));
  const auto value = [&](ShapeHandle shape, int i) { return InferenceContext::Value(context->Dim(shape, i)); };
  const auto known = [](int64_t extent, int64_t otherwise) { return extent >= 0 ? extent : otherwise; };
  // Whatever is unknown is taken as something that fits, so that the checks judge the rest.
  const int64_t depth = known(value(w, 2), known(value(x, 3), 1)), channels = known(value(x, 3), depth);
  const int64_t filters = known(value(w, 3), depth > 0 ? channels / depth : 1);
  const int64_t height = known(value(w, 0), 1), width = known(value(w, 1), 1);
  const bool countable = value(w, 0) >= 0 && value(w, 1) >= 0 && value(x, 3) >= 0 && value(offset, 3) >= 0;
  Extents images = {known(value(x, 0), 1), known(value(x, 1), 1), known(value(x, 2), 1), channels};
  DeformConv2D deform;
  TF_RETURN_IF_ERROR(Resolve(window, images, {height, width, depth, filters}, &deform.conv));
  if (countable) {
    TF_RETURN_IF_ERROR(ResolveDeform(window, images, {height, width, depth, filters}, value(offset, 3), &deform));
  }
  const auto output = [&](int axis, int64_t size) {
    const bool complete = value(x, axis) >= 0 && (window.same || value(w, axis - 1) >= 0);
    return complete ? context->MakeDim(size) : context->UnknownDim();
  };
  // Batch and extents are also those of the offset and the mask.
  DimensionHandle dims[3] = {context->Dim(x, 0), output(1, deform.conv.output_height()),
                             output(2, deform.conv.output_width())};
  for (int i = 0; i < 3; ++i) {
    TF_RETURN_IF_ERROR(context->Merge(dims[i], context->Dim(offset, i), &dims[i]));
    if (modulated) TF_RETURN_IF_ERROR(context->Merge(dims[i], context->Dim(mask, i), &dims[i]));
  }
  if (modulated && value(mask, 3) >= 0 && value(offset, 3) >= 0 && 2 * value(mask, 3) != value(offset, 3)) {
    return Invalid("mask must have half as many channels as offset. Received: ", value(mask, 3), " and ",
                   value(offset, 3));
  }
  context->set_output(0, context->MakeShape({dims[0], dims[1], dims[2], context->Dim(w, 3)}));
  return absl::OkStatus();
}

absl::Status GradientShape(InferenceContext* context) {
  Window window;
  TF_RETURN_IF_ERROR(GetWindow(context, &window));
  for (int i = 0; i < 4; ++i) context->set_output(i, context->input(i));
  return absl::OkStatus();
}

REGISTER_OP("Kerascnn>DeformConv2D")
    .Input("x: T")
    .Input("filters: T")
    .Input("offset: T")
    .Input("mask: T")
    .Output("y: T")
    .Attr("modulated: bool")
    .KERASCNN_WINDOW_ATTRIBUTES.SetShapeFn(ForwardShape);

REGISTER_OP("Kerascnn>DeformConv2DGradient")
    .Input("x: T")
    .Input("filters: T")
    .Input("offset: T")
    .Input("mask: T")
    .Input("dy: T")
    .Output("dx: T")
    .Output("dfilters: T")
    .Output("doffset: T")
    .Output("dmask: T")
    .Attr("modulated: bool")
    .KERASCNN_WINDOW_ATTRIBUTES.SetShapeFn(GradientShape);

absl::Status CheckShape(const tf::Tensor& tensor, const char* name, const DeformConv2D& deform, int64_t depth) {
  const tf::TensorShape wanted({deform.conv.batch, deform.conv.output_height(), deform.conv.output_width(), depth});
  if (tensor.shape() == wanted) return absl::OkStatus();
  return Invalid(name, " must have the shape ", wanted.DebugString(), ". Received: ", tensor.shape().DebugString());
}

template <typename Device, typename T, bool kGradient>
class DeformConv2DKernel final : public tf::OpKernel {
 public:
  explicit DeformConv2DKernel(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, GetWindow(context, &window_));
    OP_REQUIRES_OK(context, context->GetAttr("modulated", &modulated_));
  }

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &x = context->input(0), &w = context->input(1), &offset = context->input(2);
    const tf::Tensor& mask = context->input(3);
    Extents images, filters, offsets;
    OP_REQUIRES_OK(context, ExtentsOf(x, "x", &images));
    OP_REQUIRES_OK(context, ExtentsOf(w, "filters", &filters));
    OP_REQUIRES_OK(context, ExtentsOf(offset, "offset", &offsets));
    DeformConv2D deform;
    OP_REQUIRES_OK(context, ResolveDeform(window_, images, filters, offsets[3], &deform));
    OP_REQUIRES_OK(context, Say(Conv2DCheckFit(deform.conv)));
    OP_REQUIRES_OK(context, CheckShape(offset, "offset", deform, 2 * deform.mask_depth()));
    if (modulated_) {
      OP_REQUIRES_OK(context, CheckShape(mask, "mask", deform, deform.mask_depth()));
    } else {
      OP_REQUIRES(context, mask.NumElements() == 0,
                  Invalid("mask must be empty where modulated is false. Received: ", mask.shape().DebugString()));
    }
    if (kGradient) OP_REQUIRES_OK(context, CheckShape(context->input(4), "dy", deform, deform.conv.filters));
    tf::Tensor* results[4] = {};
    if (kGradient) {
      for (int i = 0; i < 4; ++i) {
        OP_REQUIRES_OK(context, context->allocate_output(i, context->input(i).shape(), &results[i]));
      }
    } else {
      const Conv2D& conv = deform.conv;
      const tf::TensorShape shape({conv.batch, conv.output_height(), conv.output_width(), conv.filters});
      OP_REQUIRES_OK(context, context->allocate_output(0, shape, &results[0]));
      if (results[0]->NumElements() == 0) return;
    }
    constexpr bool kOnDevice = std::is_same_v<Device, Cuda>;
    const TensorFlowFor parallel(context);
    const int64_t bytes = kOnDevice ? DeformConv2DCudaScratchBytes(deform, kGradient, sizeof(T))
                                    : DeformConv2DScratchBytes(deform, kGradient, sizeof(T), parallel.threads());
    OP_REQUIRES(context, bytes >= 0, absl::ResourceExhaustedError("The convolution's working memory is too large."));
    tf::Tensor scratch;
    OP_REQUIRES_OK(context, context->allocate_temp(tf::DT_INT8, tf::TensorShape({bytes}), &scratch));
    void* memory = scratch.flat<int8_t>().data();
    const auto *pixels = Data<T>(x), *weights = Data<T>(w), *moves = Data<T>(offset);
    const auto* masks = modulated_ ? Data<T>(mask) : nullptr;
    auto* const first = MutableData<T>(results[0]);
    if constexpr (kGradient) {
      const auto* dy = Data<T>(context->input(4));
      auto *dw = MutableData<T>(results[1]), *doffset = MutableData<T>(results[2]);
      auto* dmask = modulated_ ? MutableData<T>(results[3]) : nullptr;
      if constexpr (kOnDevice) {
        OP_REQUIRES_OK(context, Said(DeformConv2DGradientCuda(deform, pixels, weights, moves, masks, dy, first, dw,
                                                              doffset, dmask, memory, CudaStream(context))));
      } else {
        DeformConv2DGradient(deform, pixels, weights, moves, masks, dy, first, dw, doffset, dmask, memory, parallel);
      }
    } else if constexpr (kOnDevice) {
      OP_REQUIRES_OK(context, Said(DeformConv2DForwardCuda(deform, pixels, weights, moves, masks, first, memory,
                                                           CudaStream(context))));
    } else {
      DeformConv2DForward(deform, pixels, weights, moves, masks, first, memory, parallel);
    }
  }

 private:
  Window window_;
  bool modulated_;
};

#define REGISTER(Where, T)                                                                                    \
  REGISTER_KERNEL_BUILDER(Name("Kerascnn>DeformConv2D").Device(Where::Name()).TypeConstraint<T>("T"),         \
                          DeformConv2DKernel<Where, T, false>);                                               \
  REGISTER_KERNEL_BUILDER(Name("Kerascnn>DeformConv2DGradient").Device(Where::Name()).TypeConstraint<T>("T"), \
                          DeformConv2DKernel<Where, T, true>)
KERASCNN_FOR_DEVICES_AND_TYPES(REGISTER);
#undef REGISTER

}  // namespace
}  // namespace kerascnn
