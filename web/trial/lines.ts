/** Lines of text as a recognizer sees them: drawn in black on white, 48 pixels high. */

const height = 48;
const margin = 12;

interface DrawnLine {
  text: string;
  /** A CSS font. */
  font: string;
}

/** The font of what a visitor types. */
export const typedFont = "28px sans-serif";

const fonts = [
  "28px sans-serif",
  "30px serif",
  "24px monospace",
  "bold 26px sans-serif",
  "italic 30px serif",
  "22px sans-serif",
];

const texts = [
  "Every morning at six",
  "Invoice No. 20394",
  "Keep this receipt",
  "Room 417, Floor 4",
  "The quick brown fox",
  "Departs at 09:45",
  "Dozen liquor jugs",
  "Serial QX-88-1203-B",
  "Open from 8 to 6",
  "Total 1,249.50 EUR",
  "Do not bend the card",
  "Bus 62 to the station",
  "Signed by a witness",
  "Call 555-0137 today",
  "Heavy rain expected",
  "Version 4.2.1 of May",
  "She sells sea shells",
  "Net weight 250 g",
  "Closed on Mondays",
  "Latitude 59.9139",
  "Reserved for 19:30",
  "Read the label first",
  "Batch 7731-04, line 2",
  "Nothing is ever lost",
];

/** The lines that judge. */
export const judgingLines: readonly DrawnLine[] = texts.map((text, i) => ({
  text,
  font: fonts[i % fonts.length]!,
}));

/** Draws a line onto a canvas, whose size it sets, and gives the pixels. */
export function drawLine(canvas: HTMLCanvasElement, { text, font }: DrawnLine): ImageData {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("This browser gives no canvas to draw on.");
  context.font = font;
  canvas.width = Math.ceil(context.measureText(text).width) + 2 * margin;
  canvas.height = height;
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, height);
  // A canvas forgets its font with its size.
  context.font = font;
  context.fillStyle = "#000";
  context.textBaseline = "middle";
  context.fillText(text, margin, height / 2);
  return context.getImageData(0, 0, canvas.width, height);
}
