// TensorFlow ops Kerascnn>BatchNorm and Kerascnn>BatchNormGradient. The formula is in kernels/batch_norm.h.
#include <string>
#include <vector>

#include "kernels/batch_norm.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tf/common.h"

namespace kerascnn {
namespace {

namespace tf = tensorflow;
using tf::shape_inference::DimensionHandle;
using tf::shape_inference::InferenceContext;
using tf::shape_inference::ShapeHandle;

absl::Status Check(double epsilon, int64_t rank, int64_t channels, int64_t scale, int64_t offset) {
  const std::string wrong = BatchNormCheck(epsilon, rank, channels, scale, offset);
  return wrong.empty() ? absl::OkStatus() : tf::errors::InvalidArgument(wrong);
}

// Reads epsilon, from an OpKernelConstruction or an InferenceContext. Attributes are single precision, so it is the sum
// of two.
template <typename Source>
absl::Status GetEpsilon(Source* source, double* epsilon) {
  std::vector<float> parts;
  TF_RETURN_IF_ERROR(source->GetAttr("epsilon", &parts));
  if (parts.size() != 2) return tf::errors::InvalidArgument("epsilon must be two floats, which are added.");
  *epsilon = static_cast<double>(parts[0]) + parts[1];
  return Check(*epsilon, -1, -1, -1, -1);
}

// Checks x, scale and offset, which are the first three inputs of both ops; gives the shape of x, with the channels
// that scale and offset reveal, and that of the statistics.
absl::Status InferInputs(InferenceContext* context, ShapeHandle* x, ShapeHandle* statistics) {
  double epsilon;
  TF_RETURN_IF_ERROR(GetEpsilon(context, &epsilon));
  *x = context->input(0);
  const bool ranked = context->RankKnown(*x);
  ShapeHandle scale, offset;
  TF_RETURN_IF_ERROR(context->WithRank(context->input(1), 1, &scale));
  TF_RETURN_IF_ERROR(context->WithRank(context->input(2), 1, &offset));
  const int64_t rank = ranked ? context->Rank(*x) : -1;
  const auto length = [&](ShapeHandle shape) { return InferenceContext::Value(context->Dim(shape, -1)); };
  TF_RETURN_IF_ERROR(Check(epsilon, rank, rank > 0 ? length(*x) : -1, length(scale), length(offset)));
  DimensionHandle channels;
  TF_RETURN_IF_ERROR(context->Merge(context->Dim(scale, 0), context->Dim(offset, 0), &channels));
  if (ranked) {
    TF_RETURN_IF_ERROR(context->Merge(context->Dim(*x, -1), channels, &channels));
    TF_RETURN_IF_ERROR(context->ReplaceDim(*x, -1, channels, x));
  }
  *statistics = context->Vector(channels);
  return absl::OkStatus();
}

absl::Status ForwardShape(InferenceContext* context) {
  ShapeHandle x, statistics;
  TF_RETURN_IF_ERROR(InferInputs(context, &x, &statistics));
  context->set_output(0, x);
  context->set_output(1, statistics);
  context->set_output(2, statistics);
  return absl::OkStatus();
}

absl::Status GradientShape(InferenceContext* context) {
  ShapeHandle x, statistics;
  TF_RETURN_IF_ERROR(InferInputs(context, &x, &statistics));
  TF_RETURN_IF_ERROR(context->Merge(statistics, context->input(3), &statistics));
  TF_RETURN_IF_ERROR(context->Merge(statistics, context->input(4), &statistics));
  TF_RETURN_IF_ERROR(context->Merge(x, context->input(5), &x));
  context->set_output(0, x);
  context->set_output(1, statistics);
  context->set_output(2, statistics);
  return absl::OkStatus();
}

// U is the type of statistics: double for double, float for all else.
REGISTER_OP("Kerascnn>BatchNorm")
    .Input("x: T")
    .Input("scale: U")
    .Input("offset: U")
    .Output("y: T")
    .Output("mean: U")
    .Output("variance: U")
    .Attr("T: {float, double, bfloat16, half}")
    .Attr("U: {float, double}")
    .Attr("epsilon: list(float)")
    .SetShapeFn(ForwardShape);

// With `relu`, dy is the gradient of max(y, 0).
REGISTER_OP("Kerascnn>BatchNormGradient")
    .Input("x: T")
    .Input("scale: U")
    .Input("offset: U")
    .Input("mean: U")
    .Input("variance: U")
    .Input("dy: T")
    .Output("dx: T")
    .Output("dscale: U")
    .Output("doffset: U")
    .Attr("T: {float, double, bfloat16, half}")
    .Attr("U: {float, double}")
    .Attr("epsilon: list(float)")
    .Attr("relu: bool = false")
    .SetShapeFn(GradientShape);

template <typename T>
class BatchNormKernelBase : public tf::OpKernel {
 public:
  explicit BatchNormKernelBase(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, GetEpsilon(context, &epsilon_));
  }

 protected:
  using U = kerascnn::Compute<typename OurType<T>::type>;

  // Checks the inputs, allocates outputs shaped like x, scale and scale, and the working memory.
  absl::Status Prepare(tf::OpKernelContext* context, BatchNorm* norm, tf::Tensor* outputs[3], tf::Tensor* scratch) {
    const tf::Tensor &x = context->input(0), &scale = context->input(1), &offset = context->input(2);
    const int64_t channels = x.dims() > 0 ? x.dim_size(x.dims() - 1) : -1;
    TF_RETURN_IF_ERROR(Check(epsilon_, x.dims(), channels, scale.NumElements(), offset.NumElements()));
    for (int i = 1; i < context->num_inputs(); ++i) {
      const tf::Tensor& like = i == 5 ? x : scale;
      if (context->input(i).shape() == like.shape()) continue;
      return tf::errors::InvalidArgument("Input ", i, " must have the shape ", like.shape().DebugString(),
                                         ". Received: ", context->input(i).shape().DebugString());
    }
    *norm = {channels ? x.NumElements() / channels : 0, channels, epsilon_};
    TF_RETURN_IF_ERROR(context->allocate_output(0, x.shape(), &outputs[0]));
    TF_RETURN_IF_ERROR(context->allocate_output(1, scale.shape(), &outputs[1]));
    TF_RETURN_IF_ERROR(context->allocate_output(2, scale.shape(), &outputs[2]));
    const int64_t bytes = BatchNormScratchBytes<typename OurType<T>::type>(*norm);
    return context->allocate_temp(tf::DT_INT8, tf::TensorShape({bytes}), scratch);
  }

 private:
  double epsilon_;
};

template <typename T>
class BatchNormKernel final : public BatchNormKernelBase<T> {
 public:
  using BatchNormKernelBase<T>::BatchNormKernelBase;
  void Compute(tf::OpKernelContext* context) override {
    using U = typename BatchNormKernelBase<T>::U;
    BatchNorm norm;
    tf::Tensor *outputs[3], scratch;
    OP_REQUIRES_OK(context, this->Prepare(context, &norm, outputs, &scratch));
    BatchNormForward(norm, Data<T>(context->input(0)), Data<U>(context->input(1)), Data<U>(context->input(2)),
                     MutableData<T>(outputs[0]), MutableData<U>(outputs[1]), MutableData<U>(outputs[2]),
                     scratch.flat<int8_t>().data(), TensorFlowFor(context));
  }
};

template <typename T>
class BatchNormGradientKernel final : public BatchNormKernelBase<T> {
 public:
  explicit BatchNormGradientKernel(tf::OpKernelConstruction* context) : BatchNormKernelBase<T>(context) {
    OP_REQUIRES_OK(context, context->GetAttr("relu", &relu_));
  }
  void Compute(tf::OpKernelContext* context) override {
    using U = typename BatchNormKernelBase<T>::U;
    BatchNorm norm;
    tf::Tensor *outputs[3], scratch;
    OP_REQUIRES_OK(context, this->Prepare(context, &norm, outputs, &scratch));
    const auto statistics = [&](int i) { return Data<U>(context->input(i)); };
    BatchNormBackward(norm, relu_, Data<T>(context->input(0)), statistics(1), statistics(2), statistics(3),
                      statistics(4), Data<T>(context->input(5)), MutableData<T>(outputs[0]), MutableData<U>(outputs[1]),
                      MutableData<U>(outputs[2]), scratch.flat<int8_t>().data(), TensorFlowFor(context));
  }

 private:
  bool relu_;
};

#define REGISTER(T, U)                                                                                         \
  REGISTER_KERNEL_BUILDER(                                                                                     \
      Name("Kerascnn>BatchNorm").Device(tf::DEVICE_CPU).TypeConstraint<T>("T").TypeConstraint<U>("U"),         \
      BatchNormKernel<T>);                                                                                     \
  REGISTER_KERNEL_BUILDER(                                                                                     \
      Name("Kerascnn>BatchNormGradient").Device(tf::DEVICE_CPU).TypeConstraint<T>("T").TypeConstraint<U>("U"), \
      BatchNormGradientKernel<T>)
REGISTER(float, float);
REGISTER(double, double);
REGISTER(Eigen::bfloat16, float);
REGISTER(Eigen::half, float);
#undef REGISTER

}  // namespace
}  // namespace kerascnn
