// TensorFlow ops Kerascnn>LayerNormalization and its gradient. The formula is in kernels/layer_norm.h.
#include <cmath>

#include "kernels/layer_norm.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tf/common.h"

namespace kerascnn {
namespace {

namespace tf = tensorflow;
using tf::shape_inference::InferenceContext;

// The inputs are x and others of `vectors` places, which are [channels], and of the rest, which have the shape of x.
absl::Status MergeShapes(InferenceContext* context, std::initializer_list<int> vectors, std::initializer_list<int> maps,
                         tf::shape_inference::ShapeHandle* x, tf::shape_inference::ShapeHandle* vector) {
  TF_RETURN_IF_ERROR(context->WithRankAtLeast(context->input(0), 1, x));
  for (const int i : maps) TF_RETURN_IF_ERROR(context->Merge(*x, context->input(i), x));
  *vector = context->Vector(context->RankKnown(*x) ? context->Dim(*x, -1) : context->UnknownDim());
  for (const int i : vectors) TF_RETURN_IF_ERROR(context->Merge(*vector, context->input(i), vector));
  return absl::OkStatus();
}

REGISTER_OP("Kerascnn>LayerNormalization")
    .Input("x: T")
    .Input("scale: float")
    .Input("shift: float")
    .Output("y: T")
    .Attr("T: {float, bfloat16}")
    .Attr("epsilon: float")
    .SetShapeFn([](InferenceContext* context) {
      tf::shape_inference::ShapeHandle x, vector;
      TF_RETURN_IF_ERROR(MergeShapes(context, {1, 2}, {}, &x, &vector));
      context->set_output(0, x);
      return absl::OkStatus();
    });

REGISTER_OP("Kerascnn>LayerNormalizationGradient")
    .Input("x: T")
    .Input("scale: float")
    .Input("dy: T")
    .Output("dx: T")
    .Output("dscale: float")
    .Output("dshift: float")
    .Attr("T: {float, bfloat16}")
    .Attr("epsilon: float")
    .SetShapeFn([](InferenceContext* context) {
      tf::shape_inference::ShapeHandle x, vector;
      TF_RETURN_IF_ERROR(MergeShapes(context, {1}, {2}, &x, &vector));
      context->set_output(0, x);
      context->set_output(1, vector);
      context->set_output(2, vector);
      return absl::OkStatus();
    });

class LayerNormKernel : public tf::OpKernel {
 public:
  explicit LayerNormKernel(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("epsilon", &epsilon_));
    OP_REQUIRES(context, epsilon_ >= 0 && std::isfinite(epsilon_),
                Invalid("epsilon must be a finite number of at least 0. Received: ", epsilon_));
  }

 protected:
  // What is wrong with x and vectors of its channels.
  absl::Status Check(const tf::Tensor& x, std::initializer_list<const tf::Tensor*> vectors) const {
    if (x.dims() < 1) return Invalid("x must have channels. Received: shape ", x.shape().DebugString());
    for (const tf::Tensor* vector : vectors) {
      if (vector->dims() == 1 && vector->dim_size(0) == x.dim_size(x.dims() - 1)) continue;
      return Invalid("scale and shift must have one number for each channel of x, ", x.shape().DebugString(),
                     ". Received: ", vector->shape().DebugString());
    }
    return absl::OkStatus();
  }
  LayerNormShape Shape(const tf::Tensor& x) const {
    const int64_t channels = x.dim_size(x.dims() - 1);
    return {channels > 0 ? x.NumElements() / channels : 0, channels, epsilon_};
  }

 private:
  float epsilon_ = 0;
};

template <typename T>
class LayerNormForwardKernel final : public LayerNormKernel {
 public:
  using LayerNormKernel::LayerNormKernel;
  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &x = context->input(0), &scale = context->input(1), &shift = context->input(2);
    OP_REQUIRES_OK(context, Check(x, {&scale, &shift}));
    tf::Tensor* y = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &y));
    LayerNormForward(Shape(x), Data<T>(x), Data<float>(scale), Data<float>(shift), MutableData<T>(y),
                     TensorFlowFor(context));
  }
};

template <typename T>
class LayerNormGradientKernel final : public LayerNormKernel {
 public:
  using LayerNormKernel::LayerNormKernel;
  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &x = context->input(0), &scale = context->input(1), &dy = context->input(2);
    OP_REQUIRES_OK(context, Check(x, {&scale}));
    OP_REQUIRES(
        context, x.shape() == dy.shape(),
        Invalid("dy must have the shape of x, ", x.shape().DebugString(), ". Received: ", dy.shape().DebugString()));
    const LayerNormShape shape = Shape(x);
    tf::Tensor *dx = nullptr, *dscale = nullptr, *dshift = nullptr, scratch;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({2}, 0, x.shape(), &dx));
    OP_REQUIRES_OK(context, context->allocate_output(1, scale.shape(), &dscale));
    OP_REQUIRES_OK(context, context->allocate_output(2, scale.shape(), &dshift));
    OP_REQUIRES_OK(context,
                   context->allocate_temp(tf::DT_INT8, tf::TensorShape({LayerNormScratchBytes(shape)}), &scratch));
    LayerNormGradient(shape, Data<T>(x), Data<float>(scale), Data<T>(dy), MutableData<T>(dx),
                      MutableData<float>(dscale), MutableData<float>(dshift), scratch.flat<int8_t>().data(),
                      TensorFlowFor(context));
  }
};

#define REGISTER(T)                                                                                                  \
  REGISTER_KERNEL_BUILDER(Name("Kerascnn>LayerNormalization").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"),         \
                          LayerNormForwardKernel<T>);                                                                \
  REGISTER_KERNEL_BUILDER(Name("Kerascnn>LayerNormalizationGradient").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"), \
                          LayerNormGradientKernel<T>)
REGISTER(float);
REGISTER(tf::bfloat16);
#undef REGISTER

}  // namespace
}  // namespace kerascnn
