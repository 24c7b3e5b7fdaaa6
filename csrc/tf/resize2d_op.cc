// TensorFlow op Kerascnn>Resize2D: images of bytes at another size. The formula is in kernels/resize2d.h.
#include <string>

#include "kernels/resize2d.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tf/common.h"

namespace kerascnn {
namespace {

namespace tf = tensorflow;
using tf::shape_inference::DimensionHandle;
using tf::shape_inference::InferenceContext;
using tf::shape_inference::ShapeHandle;

absl::Status InferShape(InferenceContext* context) {
  const ShapeHandle x = context->input(0);
  ShapeHandle size;
  TF_RETURN_IF_ERROR(context->WithRank(context->input(1), 1, &size));
  DimensionHandle two;
  TF_RETURN_IF_ERROR(context->WithValue(context->Dim(size, 0), 2, &two));
  if (!context->RankKnown(x)) return context->set_output(0, context->UnknownShape()), absl::OkStatus();
  const int rank = context->Rank(x);
  if (rank != 3 && rank != 4) return Invalid("x must have 3 or 4 dimensions. Received: ", rank);
  ShapeHandle y = x;
  const tf::Tensor* wanted = context->input_tensor(1);
  for (int axis = 0; axis < 2; ++axis) {
    const DimensionHandle extent = wanted == nullptr || wanted->flat<int32_t>()(axis) < 0
                                       ? context->UnknownDim()
                                       : context->MakeDim(wanted->flat<int32_t>()(axis));
    TF_RETURN_IF_ERROR(context->ReplaceDim(y, rank - 3 + axis, extent, &y));
  }
  context->set_output(0, y);
  return absl::OkStatus();
}

REGISTER_OP("Kerascnn>Resize2D")
    .Input("x: uint8")
    .Input("size: int32")
    .Output("y: uint8")
    .Attr("interpolation: {'bilinear', 'bicubic'}")
    .SetShapeFn(InferShape);

class Resize2DKernel final : public tf::OpKernel {
 public:
  explicit Resize2DKernel(tf::OpKernelConstruction* context) : OpKernel(context) {
    std::string name;
    OP_REQUIRES_OK(context, context->GetAttr("interpolation", &name));
    kernel_ = name == "bilinear" ? ResizeKernel::kBilinear : ResizeKernel::kBicubic;
  }

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &x = context->input(0), &size = context->input(1);
    const int rank = x.dims();
    OP_REQUIRES(context, rank == 3 || rank == 4, Invalid("x must have 3 or 4 dimensions. Received: ", rank));
    OP_REQUIRES(context, size.dims() == 1 && size.dim_size(0) == 2,
                Invalid("size must be a height and a width. Received: shape ", size.shape().DebugString()));
    const Resize2DShape shape{rank == 4 ? x.dim_size(0) : 1, x.dim_size(rank - 3),    x.dim_size(rank - 2),
                              x.dim_size(rank - 1),          size.flat<int32_t>()(0), size.flat<int32_t>()(1)};
    OP_REQUIRES_OK(context, Say(Resize2DCheck(shape)));
    tf::TensorShape y_shape = x.shape();
    OP_REQUIRES_OK(context, y_shape.SetDimWithStatus(rank - 3, shape.out_height));
    OP_REQUIRES_OK(context, y_shape.SetDimWithStatus(rank - 2, shape.out_width));
    tf::Tensor* y = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, y_shape, &y));
    const uint8_t* const from = x.flat<uint8_t>().data();
    uint8_t* const to = y->flat<uint8_t>().data();
    // A pipeline has an image for each core; threads that help others with theirs would only make all wait.
    constexpr int64_t kSmall = 8 << 20;
    if (x.NumElements() <= kSmall && y->NumElements() <= kSmall) {
      Resize2D(shape, kernel_, from, to, SerialFor());
    } else {
      Resize2D(shape, kernel_, from, to, TensorFlowFor(context));
    }
  }

 private:
  ResizeKernel kernel_;
};

REGISTER_KERNEL_BUILDER(Name("Kerascnn>Resize2D").Device(tf::DEVICE_CPU), Resize2DKernel);

}  // namespace
}  // namespace kerascnn
