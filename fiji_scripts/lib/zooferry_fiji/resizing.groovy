import groovy.transform.CompileStatic

/**
 * Planes of another size that cover the same field: number for number what zooferry/diameters.py computes.
 *
 * ImageJ's own resize places pixels a quarter of one beside, and takes means where it shrinks.
 */
@CompileStatic
class Resizing {
    /** Linear between the middles of pixels, in 64 bit, first along Y; rounded once. */
    public static float[] linear(float[] pixels, int height, int width, int rows, int columns) {
        int[] lows = new int[columns]
        double[] parts = new double[columns]
        for (int x = 0; x < columns; x++) {
            double middle = middleOf(x, width, columns)
            lows[x] = Math.min((int) middle, Math.max(width - 2, 0))
            parts[x] = middle - lows[x]
        }
        double[] line = new double[width]
        float[] result = new float[rows * columns]
        for (int y = 0; y < rows; y++) {
            double middle = middleOf(y, height, rows)
            int low = Math.min((int) middle, Math.max(height - 2, 0)), high = Math.min(low + 1, height - 1)
            double part = middle - low
            for (int x = 0; x < width; x++) {
                double first = pixels[low * width + x]
                line[x] = first + (pixels[high * width + x] - first) * part
            }
            for (int x = 0; x < columns; x++) {
                double first = line[lows[x]]
                double second = line[Math.min(lows[x] + 1, width - 1)]
                result[y * columns + x] = (float) (first + (second - first) * parts[x])
            }
        }
        return result
    }

    private static double middleOf(int index, int length, int wanted) {
        return Math.min(Math.max((index + 0.5d) * length / wanted - 0.5d, 0d), length - 1d)
    }

    /** The value of the pixel in which the middle of the new one lies. */
    public static float[] nearest(float[] pixels, int height, int width, int rows, int columns) {
        float[] result = new float[rows * columns]
        for (int y = 0; y < rows; y++) {
            int row = Math.min((int) ((y + 0.5d) * height / rows), height - 1) * width
            for (int x = 0; x < columns; x++) {
                result[y * columns + x] = pixels[row + Math.min((int) ((x + 0.5d) * width / columns), width - 1)]
            }
        }
        return result
    }

    /** Every so many pixels, from the first one: sizes and steps are those of Z Y X. */
    public static float[] everyNth(float[] pixels, int[] sizes, int[] steps) {
        int depth = countOf(sizes[0], steps[0]), rows = countOf(sizes[1], steps[1]), columns = countOf(sizes[2], steps[2])
        float[] result = new float[depth * rows * columns]
        for (int z = 0, to = 0; z < depth; z++) {
            for (int y = 0; y < rows; y++) {
                int from = (z * steps[0] * sizes[1] + y * steps[1]) * sizes[2]
                for (int x = 0; x < columns; x++) {
                    result[to++] = pixels[from + x * steps[2]]
                }
            }
        }
        return result
    }

    private static int countOf(int size, int step) {
        return (int) ((size + step - 1).intdiv(step))
    }
}
