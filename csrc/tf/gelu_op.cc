// TensorFlow ops Kerascnn>Gelu and its gradient. The formula is in kernels/gelu.h.
#include "kernels/gelu.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tf/common.h"

namespace kerascnn {
namespace {

namespace tf = tensorflow;

REGISTER_OP("Kerascnn>Gelu")
    .Input("x: T")
    .Output("y: T")
    .Attr("T: {float, bfloat16}")
    .SetShapeFn(tf::shape_inference::UnchangedShape);

REGISTER_OP("Kerascnn>GeluGradient")
    .Input("x: T")
    .Input("dy: T")
    .Output("dx: T")
    .Attr("T: {float, bfloat16}")
    .SetShapeFn(tf::shape_inference::MergeBothInputsShapeFn);

template <typename T>
class GeluKernel final : public tf::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor& x = context->input(0);
    tf::Tensor* y = nullptr;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({0}, 0, x.shape(), &y));
    GeluForward(x.NumElements(), Data<T>(x), MutableData<T>(y), TensorFlowFor(context));
  }
};

template <typename T>
class GeluGradientKernel final : public tf::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &x = context->input(0), &dy = context->input(1);
    OP_REQUIRES(
        context, x.shape() == dy.shape(),
        Invalid("dy must have the shape of x, ", x.shape().DebugString(), ". Received: ", dy.shape().DebugString()));
    tf::Tensor* dx = nullptr;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({1}, 0, x.shape(), &dx));
    GeluGradient(x.NumElements(), Data<T>(x), Data<T>(dy), MutableData<T>(dx), TensorFlowFor(context));
  }
};

#define REGISTER(T)                                                                                            \
  REGISTER_KERNEL_BUILDER(Name("Kerascnn>Gelu").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"), GeluKernel<T>); \
  REGISTER_KERNEL_BUILDER(Name("Kerascnn>GeluGradient").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"),         \
                          GeluGradientKernel<T>)
REGISTER(float);
REGISTER(tf::bfloat16);
#undef REGISTER

}  // namespace
}  // namespace kerascnn
