// TensorFlow ops Kerascnn>SelfAttention and its gradient. The formulas are in kernels/packed_attention.h and
// kernels/attention_gradient.h.
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/attention_gradient.h"
#include "kernels/packed_attention.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tf/common.h"

namespace kerascnn {
namespace {

namespace tf = tensorflow;
using tf::shape_inference::InferenceContext;

// x: [batch, tokens, 3 * width], width divided by heads.
REGISTER_OP("Kerascnn>SelfAttention")
    .Input("x: float")
    .Output("y: float")
    .Attr("heads: int >= 1")
    .Attr("scale: float")
    .SetShapeFn([](InferenceContext* context) {
      tf::shape_inference::ShapeHandle x, y;
      tf::shape_inference::DimensionHandle width;
      TF_RETURN_IF_ERROR(context->WithRank(context->input(0), 3, &x));
      TF_RETURN_IF_ERROR(context->Divide(context->Dim(x, 2), 3, /*evenly_divisible=*/true, &width));
      TF_RETURN_IF_ERROR(context->ReplaceDim(x, 2, width, &y));
      context->set_output(0, y);
      return absl::OkStatus();
    });

REGISTER_OP("Kerascnn>SelfAttentionGradient")
    .Input("x: float")
    .Input("dy: float")
    .Output("dx: float")
    .Attr("heads: int >= 1")
    .Attr("scale: float")
    .SetShapeFn(tf::shape_inference::UnchangedShape);

class AttentionKernel : public tf::OpKernel {
 public:
  explicit AttentionKernel(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("heads", &heads_));
    OP_REQUIRES_OK(context, context->GetAttr("scale", &scale_));
    OP_REQUIRES(context, heads_ <= std::numeric_limits<int32_t>::max(),
                Invalid("heads must be below 2^31. Received: ", heads_));
    OP_REQUIRES(context, std::isfinite(scale_), Invalid("scale must be a finite number. Received: ", scale_));
  }

 protected:
  absl::Status Check(const tf::Tensor& x) const {
    if (x.dims() == 3 && x.dim_size(2) % (3 * heads_) == 0) return absl::OkStatus();
    return Invalid("x must be [batch, tokens, 3 d], d a multiple of ", heads_,
                   " heads. Received: ", x.shape().DebugString());
  }
  static tf::TensorShape OutputShape(const tf::Tensor& x) { return {x.dim_size(0), x.dim_size(1), x.dim_size(2) / 3}; }
  int64_t Size(const tf::Tensor& x) const { return x.dim_size(2) / 3 / heads_; }

  int64_t heads_ = 1;
  float scale_ = 1;
};

// Working memory of so many bytes, on a cache line.
absl::Status TakeScratch(tf::OpKernelContext* context, int64_t bytes, tf::Tensor* scratch) {
  return context->allocate_temp(tf::DT_INT8, tf::TensorShape({bytes}), scratch);
}

class AttentionForwardKernel final : public AttentionKernel {
 public:
  using AttentionKernel::AttentionKernel;
  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor& x = context->input(0);
    OP_REQUIRES_OK(context, Check(x));
    tf::Tensor *y = nullptr, scratch;
    OP_REQUIRES_OK(context, context->allocate_output(0, OutputShape(x), &y));
    if (y->NumElements() == 0) return;  // with any number of tokens, for which there may be no memory
    const TensorFlowFor parallel(context);
    PackedAttention attention;
    attention.batch = x.dim_size(0), attention.height = 1, attention.width = x.dim_size(1);
    attention.heads = heads_, attention.size = Size(x), attention.scale = scale_;
    attention.x_step = x.dim_size(2), attention.y_step = x.dim_size(2) / 3;
    attention.x = Data<float>(x), attention.y = MutableData<float>(y);
    const int64_t bytes = PackedAttentionScratchBytes(attention.width, attention.size, parallel.threads());
    OP_REQUIRES_OK(context, TakeScratch(context, bytes, &scratch));
    RunPackedAttention(attention, scratch.flat<int8_t>().data(), parallel);
  }
};

class AttentionGradientKernel final : public AttentionKernel {
 public:
  using AttentionKernel::AttentionKernel;
  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &x = context->input(0), &dy = context->input(1);
    OP_REQUIRES_OK(context, Check(x));
    OP_REQUIRES(
        context, dy.shape() == OutputShape(x),
        Invalid("dy must have the shape ", OutputShape(x).DebugString(), ". Received: ", dy.shape().DebugString()));
    OP_REQUIRES(context, Size(x) <= kAttentionSize,
                Invalid("A head must have at most ", kAttentionSize, " features. Received: ", Size(x)));
    tf::Tensor *dx = nullptr, scratch;
    OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &dx));
    if (dx->NumElements() == 0) return;
    const TensorFlowFor parallel(context);
    AttentionGradient attention;
    attention.batch = x.dim_size(0), attention.tokens = x.dim_size(1), attention.heads = heads_;
    attention.size = Size(x), attention.scale = scale_;
    attention.x = Data<float>(x), attention.dy = Data<float>(dy), attention.dx = MutableData<float>(dx);
    OP_REQUIRES_OK(context,
                   TakeScratch(context, AttentionGradientScratchBytes(attention, parallel.threads()), &scratch));
    RunAttentionGradient(attention, scratch.flat<int8_t>().data(), parallel);
  }
};

REGISTER_KERNEL_BUILDER(Name("Kerascnn>SelfAttention").Device(tf::DEVICE_CPU), AttentionForwardKernel);
REGISTER_KERNEL_BUILDER(Name("Kerascnn>SelfAttentionGradient").Device(tf::DEVICE_CPU), AttentionGradientKernel);

}  // namespace
}  // namespace kerascnn
