// Image files as the server takes them: JPEG, PNG, GIF, BMP and WebP as they are, others as JPEG.

const READ = ["image/jpeg", "image/png", "image/gif", "image/bmp", "image/webp"];
const SHARE = 0.7; // of the bytes of a request that an image may have: base64 makes it a third larger
const LONGEST = 2048; // pixels of the longer side of what is drawn again

// A blob that the server reads, at most `most` bytes as base64.
export async function readable(file, most) {
  if (READ.includes(file.type) && file.size < most * SHARE) return file;
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error("This browser cannot read the file as an image.");
  }
  const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return blob(canvas, "image/jpeg");
}

export const blob = (canvas, type) => new Promise((resolve) => canvas.toBlob(resolve, type, 0.92));

export const base64 = (file) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Error("The file cannot be read."));
    reader.readAsDataURL(file);
  });

// The first image among what was dropped or pasted.
export const imageIn = (transfer) => [...(transfer?.files ?? [])].find((file) => file.type.startsWith("image/"));
