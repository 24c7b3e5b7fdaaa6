// TensorFlow ops Kerascnn>LocalResponseNormalization and its gradient. The formula is in kernels/lrn.h.
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/lrn.h"
#include "kernels/lrn_cuda.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tf/common.h"

namespace kerascnn {
namespace {

namespace tf = tensorflow;
using tf::shape_inference::InferenceContext;

// Reads the attributes, from an OpKernelConstruction or an InferenceContext. Attributes are single precision, so each
// constant is the sum of two.
template <typename Source>
absl::Status GetParams(Source* source, LrnParams* params) {
  std::vector<float> constants;
  TF_RETURN_IF_ERROR(source->GetAttr("depth_radius", &params->depth_radius));
  TF_RETURN_IF_ERROR(source->GetAttr("constants", &constants));
  if (constants.size() != 6) return Invalid("constants must be bias, alpha, beta, two floats each");
  params->bias = static_cast<double>(constants[0]) + constants[1];
  params->alpha = static_cast<double>(constants[2]) + constants[3];
  params->beta = static_cast<double>(constants[4]) + constants[5];
  return absl::OkStatus();
}

absl::Status Check(const LrnParams& params, int64_t rank) { return Say(LrnCheck(params, rank)); }

// The output has the shape of x; the inputs of the gradient have one shape.
absl::Status InferShape(InferenceContext* context) {
  LrnParams params;
  TF_RETURN_IF_ERROR(GetParams(context, &params));
  auto shape = context->input(0);
  TF_RETURN_IF_ERROR(Check(params, context->RankKnown(shape) ? context->Rank(shape) : -1));
  for (int i = 1; i < context->num_inputs(); ++i) {
    TF_RETURN_IF_ERROR(context->Merge(shape, context->input(i), &shape));
  }
  context->set_output(0, shape);
  return absl::OkStatus();
}

// `bias`, `alpha`, `beta` as pairs of floats that add up to the number.
REGISTER_OP("Kerascnn>LocalResponseNormalization")
    .Input("x: T")
    .Output("y: T")
    .Attr("T: {float, double, bfloat16, half}")
    .Attr("depth_radius: int")
    .Attr("constants: list(float)")
    .SetShapeFn(InferShape);

REGISTER_OP("Kerascnn>LocalResponseNormalizationGradient")
    .Input("x: T")
    .Input("dy: T")
    .Output("dx: T")
    .Attr("T: {float, double, bfloat16, half}")
    .Attr("depth_radius: int")
    .Attr("constants: list(float)")
    .SetShapeFn(InferShape);

class LrnKernel : public tf::OpKernel {
 public:
  explicit LrnKernel(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, GetParams(context, &params_));
    OP_REQUIRES_OK(context, Check(params_, -1));
  }

 protected:
  // Checks the inputs, allocates the output and finds the size of a row; false after an error.
  bool Prepare(tf::OpKernelContext* context, tf::Tensor** output, int64_t* rows, int64_t* channels) {
    const tf::Tensor& x = context->input(0);
    const absl::Status status = Check(params_, x.dims());
    if (!status.ok()) return context->CtxFailure(__FILE__, __LINE__, status), false;
    for (int i = 1; i < context->num_inputs(); ++i) {
      if (context->input(i).shape() == x.shape()) continue;
      const absl::Status differ = Invalid("dy must have the shape of x, ", x.shape().DebugString(),
                                          ". Received: ", context->input(i).shape().DebugString());
      return context->CtxFailure(__FILE__, __LINE__, differ), false;
    }
    const absl::Status allocated = context->allocate_output(0, x.shape(), output);
    if (!allocated.ok()) return context->CtxFailure(__FILE__, __LINE__, allocated), false;
    *channels = x.dim_size(x.dims() - 1);
    *rows = *channels ? x.NumElements() / *channels : 0;
    return true;
  }

  LrnParams params_;
};

template <typename Device, typename T>
class LrnForwardKernel final : public LrnKernel {
 public:
  using LrnKernel::LrnKernel;
  void Compute(tf::OpKernelContext* context) override {
    tf::Tensor* y = nullptr;
    int64_t rows, channels;
    if (!Prepare(context, &y, &rows, &channels)) return;
    const auto* x = Data<T>(context->input(0));
    if constexpr (std::is_same_v<Device, Cuda>) {
      OP_REQUIRES_OK(context, Said(LrnForwardCuda(params_, rows, channels, x, MutableData<T>(y), CudaStream(context))));
    } else {
      LrnForward(params_, rows, channels, x, MutableData<T>(y), TensorFlowFor(context));
    }
  }
};

template <typename Device, typename T>
class LrnGradientKernel final : public LrnKernel {
 public:
  using LrnKernel::LrnKernel;
  void Compute(tf::OpKernelContext* context) override {
    tf::Tensor* dx = nullptr;
    int64_t rows, channels;
    if (!Prepare(context, &dx, &rows, &channels)) return;
    const auto *x = Data<T>(context->input(0)), *dy = Data<T>(context->input(1));
    if constexpr (std::is_same_v<Device, Cuda>) {
      tf::Tensor scratch;
      const int64_t bytes = LrnGradientCudaScratchBytes(params_, rows, channels, sizeof(T));
      OP_REQUIRES_OK(context, context->allocate_temp(tf::DT_INT8, tf::TensorShape({bytes}), &scratch));
      OP_REQUIRES_OK(context, Said(LrnGradientCuda(params_, rows, channels, x, dy, MutableData<T>(dx),
                                                   scratch.flat<int8_t>().data(), CudaStream(context))));
    } else {
      LrnGradient(params_, rows, channels, x, dy, MutableData<T>(dx), TensorFlowFor(context));
    }
  }
};

#define REGISTER(Where, T)                                                                                          \
  REGISTER_KERNEL_BUILDER(Name("Kerascnn>LocalResponseNormalization").Device(Where::Name()).TypeConstraint<T>("T"), \
                          LrnForwardKernel<Where, T>);                                                              \
  REGISTER_KERNEL_BUILDER(                                                                                          \
      Name("Kerascnn>LocalResponseNormalizationGradient").Device(Where::Name()).TypeConstraint<T>("T"),             \
      LrnGradientKernel<Where, T>)
KERASCNN_FOR_DEVICES_AND_TYPES(REGISTER);
#undef REGISTER

}  // namespace
}  // namespace kerascnn
