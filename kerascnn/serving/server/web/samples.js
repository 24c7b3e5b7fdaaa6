// Sample images, drawn here: nothing is fetched, and nobody's picture is shown. Each in units of 100.

function disc(c, x, y, radius, color) {
  c.fillStyle = color;
  c.beginPath();
  c.arc(x, y, radius, 0, 2 * Math.PI);
  c.fill();
}

function shape(c, points, color) {
  c.fillStyle = color;
  c.beginPath();
  for (const [x, y] of points) c.lineTo(x, y);
  c.closePath();
  c.fill();
}

function background(c, top, bottom) {
  const fill = c.createLinearGradient(0, 0, 0, 100);
  fill.addColorStop(0, top);
  fill.addColorStop(1, bottom);
  c.fillStyle = fill;
  c.fillRect(0, 0, 100, 100);
}

function digit(c) {
  background(c, "#000", "#000");
  c.strokeStyle = "#fff";
  c.lineWidth = 9;
  c.lineCap = c.lineJoin = "round";
  c.beginPath();
  c.moveTo(29, 27);
  c.quadraticCurveTo(50, 30, 70, 24);
  c.quadraticCurveTo(52, 50, 45, 80);
  c.stroke();
}

function shirt(c) {
  background(c, "#000", "#000");
  const half = [[50, 19], [62, 14], [78, 20], [92, 46], [79, 54], [73, 44], [73, 88], [50, 88]];
  const other = half.map(([x, y]) => [100 - x, y]).reverse();
  shape(c, [...half, ...other], "#c9c9c9");
  c.fillStyle = "#8d8d8d";
  c.beginPath();
  c.ellipse(50, 15, 12, 8, 0, 0, Math.PI);
  c.fill();
}

function flower(c) {
  background(c, "#b9dcf5", "#6ea65a");
  c.strokeStyle = "#2f7d32";
  c.lineWidth = 4;
  c.beginPath();
  c.moveTo(50, 48);
  c.quadraticCurveTo(46, 75, 52, 100);
  c.stroke();
  for (let i = 0; i < 12; i++) {
    const angle = (i * Math.PI) / 6;
    c.fillStyle = i % 2 ? "#f7c52b" : "#f2a81d";
    c.beginPath();
    c.ellipse(50 + 19 * Math.cos(angle), 42 + 19 * Math.sin(angle), 13, 6, angle, 0, 2 * Math.PI);
    c.fill();
  }
  disc(c, 50, 42, 11, "#6b3d14");
}

function cat(c) {
  background(c, "#e9ddd0", "#b99f86");
  shape(c, [[24, 48], [25, 14], [48, 30]], "#4d4742");
  shape(c, [[76, 48], [75, 14], [52, 30]], "#4d4742");
  disc(c, 50, 55, 30, "#5d5650");
  for (const x of [38, 62]) {
    disc(c, x, 50, 6.5, "#d3c74a");
    c.fillStyle = "#111";
    c.beginPath();
    c.ellipse(x, 50, 2, 5.5, 0, 0, 2 * Math.PI);
    c.fill();
  }
  shape(c, [[46, 62], [54, 62], [50, 67]], "#d98c8c");
  c.strokeStyle = "#efe9e2";
  c.lineWidth = 1.2;
  for (const side of [-1, 1]) {
    for (const rise of [-5, 0, 5]) {
      c.beginPath();
      c.moveTo(50 + side * 9, 67 + rise / 3);
      c.lineTo(50 + side * 38, 65 + 2 * rise);
      c.stroke();
    }
  }
}

export const SAMPLES = { "a digit": digit, "a shirt": shirt, "a flower": flower, "a cat": cat };

// A sample on a canvas of its own.
export function drawn(name, size) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d");
  context.scale(size / 100, size / 100);
  SAMPLES[name](context);
  return canvas;
}
