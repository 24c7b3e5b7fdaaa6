// TensorFlow ops Kerascnn>Conv2D, Kerascnn>Conv2DInputGradient and Kerascnn>Conv2DFilterGradient. The formula is in
// kernels/conv2d.h; the groups follow from the channels of x and of the filters.
#include <type_traits>

#include "kernels/conv2d.h"
#include "kernels/conv2d_cuda.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tf/common.h"
#include "tf/conv2d_window.h"

namespace kerascnn {
namespace {

using tf::shape_inference::DimensionHandle;
using tf::shape_inference::InferenceContext;
using tf::shape_inference::ShapeHandle;

absl::Status ForwardShape(InferenceContext* context) {
  Window window;
  TF_RETURN_IF_ERROR(GetWindow(context, &window));
  ShapeHandle x, w;
  TF_RETURN_IF_ERROR(context->WithRank(context->input(0), 4, &x));
  TF_RETURN_IF_ERROR(context->WithRank(context->input(1), 4, &w));
  const auto value = [&](ShapeHandle shape, int i) { return InferenceContext::Value(context->Dim(shape, i)); };
  // Whatever is unknown is taken as something that fits, so that Conv2DCheck() judges the rest.
  const int64_t depth = value(w, 2) >= 0 ? value(w, 2) : value(x, 3) >= 0 ? value(x, 3) : 1;
  const int64_t channels = value(x, 3) >= 0 ? value(x, 3) : depth;
  const auto known = [](int64_t extent, int64_t otherwise) { return extent >= 0 ? extent : otherwise; };
  const int64_t filters = known(value(w, 3), depth > 0 ? channels / depth : 1);
  Conv2D conv;
  TF_RETURN_IF_ERROR(Resolve(window, {known(value(x, 0), 1), known(value(x, 1), 1), known(value(x, 2), 1), channels},
                             {known(value(w, 0), 1), known(value(w, 1), 1), depth, filters}, &conv));
  const auto output = [&](int axis, int64_t size) {
    const bool complete = value(x, axis) >= 0 && (window.same || value(w, axis - 1) >= 0);
    return complete ? context->MakeDim(size) : context->UnknownDim();
  };
  context->set_output(0, context->MakeShape({context->Dim(x, 0), output(1, conv.output_height()),
                                             output(2, conv.output_width()), context->Dim(w, 3)}));
  return absl::OkStatus();
}

template <int kInput>
absl::Status ShapeFromInput(InferenceContext* context) {
  Window window;
  TF_RETURN_IF_ERROR(GetWindow(context, &window));
  ShapeHandle shape, unused;
  for (int i = 0; i < 3; ++i) {
    if (i != kInput) TF_RETURN_IF_ERROR(context->WithRank(context->input(i), 4, &unused));
  }
  TF_RETURN_IF_ERROR(context->MakeShapeFromShapeTensor(kInput, &shape));
  TF_RETURN_IF_ERROR(context->WithRank(shape, 4, &shape));
  context->set_output(0, shape);
  return absl::OkStatus();
}

REGISTER_OP("Kerascnn>Conv2D")
    .Input("x: T")
    .Input("filters: T")
    .Output("y: T")
    .KERASCNN_WINDOW_ATTRIBUTES.SetShapeFn(ForwardShape);

absl::Status FusedShape(InferenceContext* context) {
  TF_RETURN_IF_ERROR(ForwardShape(context));
  ShapeHandle bias;
  DimensionHandle unused;
  TF_RETURN_IF_ERROR(context->WithRank(context->input(2), 1, &bias));
  return context->Merge(context->Dim(bias, 0), context->Dim(context->output(0), 3), &unused);
}

// y + bias, and where `relu` is true max(0, y + bias). For the CPU.
REGISTER_OP("Kerascnn>FusedConv2D")
    .Input("x: T")
    .Input("filters: T")
    .Input("bias: T")
    .Output("y: T")
    .Attr("relu: bool")
    .KERASCNN_WINDOW_ATTRIBUTES.SetShapeFn(FusedShape);

REGISTER_OP("Kerascnn>Conv2DInputGradient")
    .Input("x_shape: int64")
    .Input("filters: T")
    .Input("dy: T")
    .Output("dx: T")
    .KERASCNN_WINDOW_ATTRIBUTES.SetShapeFn(ShapeFromInput<0>);

REGISTER_OP("Kerascnn>Conv2DFilterGradient")
    .Input("x: T")
    .Input("filters_shape: int64")
    .Input("dy: T")
    .Output("dfilters: T")
    .KERASCNN_WINDOW_ATTRIBUTES.SetShapeFn(ShapeFromInput<1>);

// The four extents that a shape tensor holds.
absl::Status ExtentsIn(const tf::Tensor& shape, const char* name, Extents* extents) {
  if (shape.dims() != 1 || shape.NumElements() != 4) {
    return Invalid(name, " must be four numbers. Received: ", shape.shape().DebugString());
  }
  for (int i = 0; i < 4; ++i) (*extents)[i] = shape.vec<int64_t>()(i);
  return absl::OkStatus();
}

tf::TensorShape ShapeOf(const Extents& extents) {
  return tf::TensorShape({extents[0], extents[1], extents[2], extents[3]});
}

template <typename Device, typename T, Conv2DKind kKind>
class Conv2DKernel final : public tf::OpKernel {
 public:
  explicit Conv2DKernel(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, GetWindow(context, &window_));
  }

  void Compute(tf::OpKernelContext* context) override {
    constexpr bool kForward = kKind == Conv2DKind::kForward;
    constexpr bool kFilters = kKind == Conv2DKind::kFilterGradient;
    const tf::Tensor &first = context->input(0), &second = context->input(1);
    Extents x, w;
    OP_REQUIRES_OK(context, kForward || kFilters ? ExtentsOf(first, "x", &x) : ExtentsIn(first, "x_shape", &x));
    OP_REQUIRES_OK(context, kFilters ? ExtentsIn(second, "filters_shape", &w) : ExtentsOf(second, "filters", &w));
    Conv2D conv;
    OP_REQUIRES_OK(context, ResolveFitting(window_, x, w, &conv));
    const Extents y = {conv.batch, conv.output_height(), conv.output_width(), conv.filters};
    if (!kForward) {
      Extents dy;
      OP_REQUIRES_OK(context, ExtentsOf(context->input(2), "dy", &dy));
      OP_REQUIRES(context, dy == y,
                  Invalid("dy must have the shape of the convolution's result, ", ShapeOf(y).DebugString(),
                          ". Received: ", ShapeOf(dy).DebugString()));
    }
    tf::Tensor* result = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, ShapeOf(kForward ? y : kFilters ? w : x), &result));
    if (result->NumElements() == 0) return;
    Run(context, conv, kFilters || kForward ? first : second, kForward ? second : context->input(2), result);
  }

 private:
  // `first` and `second` are x and w, w and dy, or x and dy.
  void Run(tf::OpKernelContext* context, const Conv2D& conv, const tf::Tensor& first, const tf::Tensor& second,
           tf::Tensor* result) {
    constexpr bool kCuda = std::is_same_v<Device, Cuda>;
    const auto *a = Data<T>(first), *b = Data<T>(second);
    auto* const to = MutableData<T>(result);
    int64_t bytes = 0;
    if constexpr (kCuda) {
      bytes = Conv2DCudaScratchBytes(conv, kKind, sizeof(T));
    } else {
      bytes = Conv2DScratchBytes(conv, kKind, sizeof(T), TensorFlowFor(context).threads());
    }
    OP_REQUIRES(context, bytes >= 0, absl::ResourceExhaustedError("The convolution's working memory is too large."));
    tf::Tensor scratch;
    OP_REQUIRES_OK(context, context->allocate_temp(tf::DT_INT8, tf::TensorShape({bytes}), &scratch));
    void* const memory = scratch.flat<int8_t>().data();
    if constexpr (kCuda) {
      void* const stream = CudaStream(context);
      if constexpr (kKind == Conv2DKind::kForward) {
        OP_REQUIRES_OK(context, Said(Conv2DForwardCuda(conv, a, b, to, stream)));
      } else if constexpr (kKind == Conv2DKind::kInputGradient) {
        OP_REQUIRES_OK(context, Said(Conv2DInputGradientCuda(conv, a, b, to, memory, stream)));
      } else {
        OP_REQUIRES_OK(context, Said(Conv2DFilterGradientCuda(conv, a, b, to, memory, stream)));
      }
    } else {
      const TensorFlowFor parallel(context);
      if constexpr (kKind == Conv2DKind::kForward) {
        Conv2DForward(conv, a, b, to, memory, parallel);
      } else if constexpr (kKind == Conv2DKind::kInputGradient) {
        Conv2DInputGradient(conv, a, b, to, memory, parallel);
      } else {
        Conv2DFilterGradient(conv, a, b, to, memory, parallel);
      }
    }
  }

  Window window_;
};

template <typename T>
class FusedConv2DKernel final : public tf::OpKernel {
 public:
  explicit FusedConv2DKernel(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, GetWindow(context, &window_));
    OP_REQUIRES_OK(context, context->GetAttr("relu", &relu_));
  }

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &x = context->input(0), &w = context->input(1), &bias = context->input(2);
    Extents x_extents, w_extents;
    OP_REQUIRES_OK(context, ExtentsOf(x, "x", &x_extents));
    OP_REQUIRES_OK(context, ExtentsOf(w, "filters", &w_extents));
    Conv2D conv;
    OP_REQUIRES_OK(context, ResolveFitting(window_, x_extents, w_extents, &conv));
    OP_REQUIRES(context, bias.dims() == 1 && bias.NumElements() == conv.filters,
                Invalid("bias must have one number for each of the ", conv.filters,
                        " output channels. Received: ", bias.shape().DebugString()));
    tf::Tensor *y = nullptr, scratch;
    OP_REQUIRES_OK(context, context->allocate_output(
                                0, ShapeOf({conv.batch, conv.output_height(), conv.output_width(), conv.filters}), &y));
    if (y->NumElements() == 0) return;
    const TensorFlowFor parallel(context);
    const int64_t bytes = Conv2DScratchBytes(conv, Conv2DKind::kForward, sizeof(T), parallel.threads());
    OP_REQUIRES(context, bytes >= 0, absl::ResourceExhaustedError("The convolution's working memory is too large."));
    OP_REQUIRES_OK(context, context->allocate_temp(tf::DT_INT8, tf::TensorShape({bytes}), &scratch));
    Conv2DEpilogue<typename OurType<T>::type> epilogue;
    epilogue.bias = Data<T>(bias), epilogue.relu = relu_;
    Conv2DForward(conv, Data<T>(x), Data<T>(w), MutableData<T>(y), scratch.flat<int8_t>().data(), parallel, epilogue);
  }

 private:
  Window window_;
  bool relu_;
};

#define REGISTER_FUSED(Where, T)                                                                     \
  REGISTER_KERNEL_BUILDER(Name("Kerascnn>FusedConv2D").Device(Where::Name()).TypeConstraint<T>("T"), \
                          FusedConv2DKernel<T>)
KERASCNN_FOR_TYPES(REGISTER_FUSED, Cpu);
#undef REGISTER_FUSED

#define REGISTER(Where, T)                                                                                            \
  REGISTER_KERNEL_BUILDER(Name("Kerascnn>Conv2D").Device(Where::Name()).TypeConstraint<T>("T"),                       \
                          Conv2DKernel<Where, T, Conv2DKind::kForward>);                                              \
  REGISTER_KERNEL_BUILDER(                                                                                            \
      Name("Kerascnn>Conv2DInputGradient").Device(Where::Name()).HostMemory("x_shape").TypeConstraint<T>("T"),        \
      Conv2DKernel<Where, T, Conv2DKind::kInputGradient>);                                                            \
  REGISTER_KERNEL_BUILDER(                                                                                            \
      Name("Kerascnn>Conv2DFilterGradient").Device(Where::Name()).HostMemory("filters_shape").TypeConstraint<T>("T"), \
      Conv2DKernel<Where, T, Conv2DKind::kFilterGradient>)
KERASCNN_FOR_DEVICES_AND_TYPES(REGISTER);
#undef REGISTER

}  // namespace
}  // namespace kerascnn
