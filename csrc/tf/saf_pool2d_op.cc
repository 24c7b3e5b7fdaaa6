// TensorFlow ops Kerascnn>SAFPool2D and Kerascnn>SAFPool2DGradient. The formula is in kernels/saf_pool2d.h.
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/saf_pool2d.h"
#include "kernels/saf_pool2d_cuda.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tf/common.h"

namespace kerascnn {
namespace {

namespace tf = tensorflow;
using tf::shape_inference::InferenceContext;
using tf::shape_inference::ShapeHandle;

struct Window {
  SafPool2D pool;  // without the tensors' extents
  bool same = false;
};

// Reads the attributes, from an OpKernelConstruction or an InferenceContext.
template <typename Source>
absl::Status GetWindow(Source* source, Window* window) {
  std::vector<int64_t> ksize, strides;
  std::vector<float> rate;
  std::string padding;
  SafPool2D& pool = window->pool;
  TF_RETURN_IF_ERROR(source->GetAttr("ksize", &ksize));
  TF_RETURN_IF_ERROR(source->GetAttr("strides", &strides));
  TF_RETURN_IF_ERROR(source->GetAttr("padding", &padding));
  TF_RETURN_IF_ERROR(source->GetAttr("rate", &rate));
  TF_RETURN_IF_ERROR(source->GetAttr("per_channel", &pool.per_channel));
  if (ksize.size() != 2 || strides.size() != 2) {
    return Say("ksize and strides must have two numbers, vertical and horizontal.");
  }
  if (rate.size() != 3) return Say("rate must be three floats, largest first, that add up to it.");
  pool.window_y = ksize[0], pool.window_x = ksize[1];
  pool.stride_y = strides[0], pool.stride_x = strides[1];
  pool.rate = rate[0] + (static_cast<double>(rate[1]) + rate[2]);
  window->same = padding == "SAME";
  return Say(SafPool2DCheckWindow(pool));
}

absl::Status Resolve(const Window& window, const int64_t* x, SafPool2D* pool) {
  *pool = window.pool;
  pool->batch = x[0], pool->height = x[1], pool->width = x[2], pool->channels = x[3];
  // Without padding only the window's size can be wrong for it; with it nothing can, but the extents themselves.
  if (window.same) pool->pad_y.after = pool->window_y - 1, pool->pad_x.after = pool->window_x - 1;
  TF_RETURN_IF_ERROR(Say(SafPool2DCheck(*pool)));
  if (window.same) SafPool2DSetSamePadding(pool);
  return absl::OkStatus();
}

absl::Status ForwardShape(InferenceContext* context) {
  Window window;
  TF_RETURN_IF_ERROR(GetWindow(context, &window));
  ShapeHandle x, seed;
  TF_RETURN_IF_ERROR(context->WithRank(context->input(0), 4, &x));
  TF_RETURN_IF_ERROR(context->WithRank(context->input(1), 1, &seed));
  tf::shape_inference::DimensionHandle two;
  TF_RETURN_IF_ERROR(context->WithValue(context->Dim(seed, 0), 2, &two));
  // Whatever is unknown is taken as something that fits.
  const int64_t fits[] = {1, window.pool.window_y, window.pool.window_x, 1};
  int64_t extents[4];
  for (int i = 0; i < 4; ++i) {
    const int64_t value = InferenceContext::Value(context->Dim(x, i));
    extents[i] = value >= 0 ? value : fits[i];
  }
  SafPool2D pool;
  TF_RETURN_IF_ERROR(Resolve(window, extents, &pool));
  const auto output = [&](int axis, int64_t size) {
    return context->ValueKnown(context->Dim(x, axis)) ? context->MakeDim(size) : context->UnknownDim();
  };
  const ShapeHandle y = context->MakeShape(
      {context->Dim(x, 0), output(1, pool.output_height()), output(2, pool.output_width()), context->Dim(x, 3)});
  context->set_output(0, y);
  context->set_output(1, y);
  return absl::OkStatus();
}

absl::Status GradientShape(InferenceContext* context) {
  Window window;
  TF_RETURN_IF_ERROR(GetWindow(context, &window));
  ShapeHandle y, x;
  TF_RETURN_IF_ERROR(context->WithRank(context->input(1), 4, &y));
  TF_RETURN_IF_ERROR(context->Merge(y, context->input(2), &y));
  TF_RETURN_IF_ERROR(context->MakeShapeFromShapeTensor(0, &x));
  TF_RETURN_IF_ERROR(context->WithRank(x, 4, &x));
  context->set_output(0, x);
  return absl::OkStatus();
}

// `rate` as three floats that add up to the number, which is a double.
#define KERASCNN_SAF_ATTRIBUTES              \
  Attr("T: {half, bfloat16, float, double}") \
      .Attr("ksize: list(int)")              \
      .Attr("strides: list(int)")            \
      .Attr("padding: {'SAME', 'VALID'}")    \
      .Attr("rate: list(float)")             \
      .Attr("per_channel: bool = false")

REGISTER_OP("Kerascnn>SAFPool2D")
    .Input("x: T")
    .Input("seed: Tseed")
    .Output("y: T")
    .Output("state: uint8")
    .Attr("Tseed: {int32, int64}")
    .KERASCNN_SAF_ATTRIBUTES.SetShapeFn(ForwardShape);

REGISTER_OP("Kerascnn>SAFPool2DGradient")
    .Input("x_shape: int64")
    .Input("state: uint8")
    .Input("dy: T")
    .Output("dx: T")
    .KERASCNN_SAF_ATTRIBUTES.SetShapeFn(GradientShape);

tf::TensorShape OutputShape(const SafPool2D& pool) {
  return tf::TensorShape({pool.batch, pool.output_height(), pool.output_width(), pool.channels});
}

// The lower halves of the two numbers of the seed.
absl::Status GetKey(const tf::Tensor& seed, SafKey* key) {
  if (seed.dims() != 1 || seed.NumElements() != 2) {
    return Invalid("seed must be two whole numbers. Received: ", seed.shape().DebugString());
  }
  for (int i = 0; i < 2; ++i) {
    const int64_t value = seed.dtype() == tf::DT_INT64 ? seed.vec<int64_t>()(i) : seed.vec<int32_t>()(i);
    key->word[i] = static_cast<uint32_t>(value);
  }
  return absl::OkStatus();
}

template <typename Device, typename T>
class SafForwardKernel final : public tf::OpKernel {
 public:
  explicit SafForwardKernel(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, GetWindow(context, &window_));
  }

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor& x = context->input(0);
    OP_REQUIRES(context, x.dims() == 4, Invalid("x must have four dimensions. Received: ", x.shape().DebugString()));
    SafKey key;
    OP_REQUIRES_OK(context, GetKey(context->input(1), &key));
    SafPool2D pool;
    OP_REQUIRES_OK(context, Resolve(window_, x.shape().dim_sizes().data(), &pool));
    tf::Tensor *y = nullptr, *state = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, OutputShape(pool), &y));
    OP_REQUIRES_OK(context, context->allocate_output(1, OutputShape(pool), &state));
    auto* const bytes = MutableData<uint8_t>(state);
    if constexpr (std::is_same_v<Device, Cuda>) {
      OP_REQUIRES_OK(context,
                     Said(SafPool2DForwardCuda(pool, key, Data<T>(x), MutableData<T>(y), bytes, CudaStream(context))));
    } else {
      SafPool2DForward(pool, key, Data<T>(x), MutableData<T>(y), bytes, TensorFlowFor(context));
    }
  }

 private:
  Window window_;
};

template <typename Device, typename T>
class SafGradientKernel final : public tf::OpKernel {
 public:
  explicit SafGradientKernel(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, GetWindow(context, &window_));
  }

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &x_shape = context->input(0), &state = context->input(1), &dy = context->input(2);
    OP_REQUIRES(context, x_shape.dims() == 1 && x_shape.NumElements() == 4,
                Invalid("x_shape must be four numbers. Received: ", x_shape.shape().DebugString()));
    SafPool2D pool;
    OP_REQUIRES_OK(context, Resolve(window_, x_shape.vec<int64_t>().data(), &pool));
    const tf::TensorShape y = OutputShape(pool);
    for (const tf::Tensor* tensor : {&state, &dy}) {
      OP_REQUIRES(context, tensor->shape() == y,
                  Invalid("state and dy must have the shape of the pooled images, ", y.DebugString(),
                          ". Received: ", tensor->shape().DebugString()));
    }
    tf::Tensor* dx = nullptr;
    const tf::TensorShape x({pool.batch, pool.height, pool.width, pool.channels});
    OP_REQUIRES_OK(context, context->allocate_output(0, x, &dx));
    const auto* const bytes = Data<uint8_t>(state);
    if constexpr (std::is_same_v<Device, Cuda>) {
      OP_REQUIRES_OK(context,
                     Said(SafPool2DGradientCuda(pool, bytes, Data<T>(dy), MutableData<T>(dx), CudaStream(context))));
    } else {
      SafPool2DGradient(pool, bytes, Data<T>(dy), MutableData<T>(dx), TensorFlowFor(context));
    }
  }

 private:
  Window window_;
};

#define REGISTER(Where, T)                                                                                            \
  REGISTER_KERNEL_BUILDER(Name("Kerascnn>SAFPool2D").Device(Where::Name()).HostMemory("seed").TypeConstraint<T>("T"), \
                          SafForwardKernel<Where, T>);                                                                \
  REGISTER_KERNEL_BUILDER(                                                                                            \
      Name("Kerascnn>SAFPool2DGradient").Device(Where::Name()).HostMemory("x_shape").TypeConstraint<T>("T"),          \
      SafGradientKernel<Where, T>)
KERASCNN_FOR_DEVICES_AND_TYPES(REGISTER);
#undef REGISTER

}  // namespace
}  // namespace kerascnn
