// The explanation map over what the network saw.

// Dark violet, red, orange, pale yellow: its lightness rises evenly, so that it can be read without colors.
const COLORS = [[25, 8, 60], [130, 28, 100], [224, 80, 60], [252, 170, 50], [252, 255, 190]];
const FAINTEST = 0.3; // how much of the color there is where the map is 0, in relation to where it is highest

function color(value) {
  const place = Math.min(Math.max(value, 0), 1) * (COLORS.length - 1);
  const low = Math.min(Math.floor(place), COLORS.length - 2);
  return COLORS[low].map((part, i) => part + (place - low) * (COLORS[low + 1][i] - part));
}

// The value of a map at a place, bilinearly between the centers of its cells; x and y from 0 to 1.
export function at(map, x, y) {
  const rows = map.length;
  const columns = map[0].length;
  const v = Math.min(Math.max(y * rows - 0.5, 0), rows - 1);
  const u = Math.min(Math.max(x * columns - 0.5, 0), columns - 1);
  const [top, left] = [Math.floor(v), Math.floor(u)];
  const [bottom, right] = [Math.min(top + 1, rows - 1), Math.min(left + 1, columns - 1)];
  const [down, across] = [v - top, u - left];
  const mix = (row) => row[left] + across * (row[right] - row[left]);
  return mix(map[top]) + down * (mix(map[bottom]) - mix(map[top]));
}

// Draws an image with a map over it; `strength` from 0 (no map) to 1.
export function draw(canvas, image, map, strength) {
  const scale = 448 / Math.max(image.width, image.height);
  const width = (canvas.width = Math.round(image.width * scale));
  const height = (canvas.height = Math.round(image.height * scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = scale < 4; // the pixels of a small network are shown as they are
  context.drawImage(image, 0, 0, width, height);
  const highest = Math.max(...map.flat(), 0);
  if (!highest || !strength) return;
  const pixels = context.getImageData(0, 0, width, height);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i += 4) {
      const value = at(map, (x + 0.5) / width, (y + 0.5) / height) / highest;
      const paint = color(value);
      const share = strength * (FAINTEST + (1 - FAINTEST) * value);
      for (let part = 0; part < 3; part++) pixels.data[i + part] += share * (paint[part] - pixels.data[i + part]);
    }
  }
  context.putImageData(pixels, 0, 0);
}
