import groovy.transform.CompileStatic

/**
 * Star-convex polygons: probability and distances along rays to labels, by StarDist's greedy rule.
 *
 * The same numbers as zooferry/instances/star_convex.py, where the rule and its source are told; arrays are Y X,
 * row by row. In Groovy float + float is double: a cast says where 32 bit are meant.
 */
@CompileStatic
class StarConvex {

    int rays
    int count
    float[] prob          // of the candidates, falling
    int[] pointY          // pixels of the image
    int[] pointX
    float[] distances     // candidate after candidate
    float[] low           // boxes: Y, X of each candidate
    float[] high
    double[] cornerY      // cut to whole pixels
    double[] cornerX
    double[] areas
    boolean[] there

    /**
     * @param prob Y X
     * @param distances one array (Y X) for each ray
     * @param size height and width of prob, the grid along both, height and width of the labels
     * @param border pixels of prob that are no candidates: low and high along Y, then X
     * @param thresholds of the probability and of the overlap
     */
    public static int[] labels(float[] prob, float[][] distances, int[] size, int[] border, double[] thresholds) {
        StarConvex found = new StarConvex()
        found.rays = distances.length
        found.find(prob, distances, size, border, (float) thresholds[0])
        found.cut()
        found.suppress(size, thresholds[1])
        return found.draw(size[4], size[5])
    }

    private void find(float[] all, float[][] rayMaps, int[] size, int[] border, float least) {
        int height = size[0], width = size[1]
        long[] keys = new long[all.length]
        count = 0
        for (int y = Math.max(border[0], 0); y < height - Math.max(border[1], 0); y++) {
            for (int x = Math.max(border[2], 0); x < width - Math.max(border[3], 0); x++) {
                int place = y * width + x
                if (all[place] > least) {
                    keys[count] = key(all[place], place)
                    count = count + 1
                }
            }
        }
        Arrays.sort(keys, 0, count)
        prob = new float[count]
        pointY = new int[count]
        pointX = new int[count]
        distances = new float[count * rays]
        for (int n = 0; n < count; n++) {
            int place = (int) (keys[count - 1 - n] & 0xffffffffL)
            prob[n] = all[place]
            pointY[n] = place.intdiv(width).intValue() * size[2]
            pointX[n] = (place % width) * size[3]
            for (int k = 0; k < rays; k++) {
                distances[n * rays + k] = rayMaps[k][place]
            }
        }
    }

    /** Grows with the value, and with the place among equal values. */
    private static long key(float value, int place) {
        int bits = Float.floatToIntBits(value == 0f ? 0f : value)
        long ordered = bits >= 0 ? (long) bits : (long) (bits ^ 0x7fffffff)
        return (ordered << 32) | (long) place
    }

    /** Corners, boxes and areas, in the 32 bit of stardist. */
    private void cut() {
        float[] sines = new float[rays], cosines = new float[rays]
        float step = (float) (2d * Math.PI / rays)
        for (int k = 0; k < rays; k++) {
            double angle = (double) (float) (step * k)
            sines[k] = (float) Math.sin(angle)
            cosines[k] = (float) Math.cos(angle)
        }
        low = new float[2 * count]
        high = new float[2 * count]
        cornerY = new double[count * rays]
        cornerX = new double[count * rays]
        areas = new double[count]
        for (int n = 0; n < count; n++) {
            float y0 = Float.MAX_VALUE, x0 = Float.MAX_VALUE, y1 = -Float.MAX_VALUE, x1 = -Float.MAX_VALUE
            for (int k = 0; k < rays; k++) {
                float y = (float) (pointY[n] + (float) (distances[n * rays + k] * sines[k]))
                float x = (float) (pointX[n] + (float) (distances[n * rays + k] * cosines[k]))
                y0 = Math.min(y0, y)
                y1 = Math.max(y1, y)
                x0 = Math.min(x0, x)
                x1 = Math.max(x1, x)
                cornerY[n * rays + k] = (double) (long) y
                cornerX[n * rays + k] = (double) (long) x
            }
            low[2 * n] = y0
            low[2 * n + 1] = x0
            high[2 * n] = y1
            high[2 * n + 1] = x1
            areas[n] = area(n)
        }
    }

    private double area(int n) {
        double sum = 0d
        int last = n * rays + rays - 1
        for (int k = n * rays; k <= last; k++) {
            int next = k == last ? n * rays : k + 1
            sum = sum + (cornerX[k] * cornerY[next] - cornerY[k] * cornerX[next])
        }
        return Math.abs(sum) / 2d
    }

    private void suppress(int[] size, double threshold) {
        int height = size[0], width = size[1]
        int[] index = new int[height * width]   // candidate + 1
        float[] reach = new float[4]            // how far any box goes beyond its point: low and high of Y, X
        there = new boolean[count]
        for (int n = 0; n < count; n++) {
            there[n] = true
            index[pointY[n].intdiv(size[2]).intValue() * width + pointX[n].intdiv(size[3]).intValue()] = n + 1
            reach[0] = Math.max(reach[0], (float) (pointY[n] - low[2 * n]))
            reach[1] = Math.max(reach[1], (float) (high[2 * n] - pointY[n]))
            reach[2] = Math.max(reach[2], (float) (pointX[n] - low[2 * n + 1]))
            reach[3] = Math.max(reach[3], (float) (high[2 * n + 1] - pointX[n]))
        }
        for (int n = 0; n < count; n++) {
            if (!there[n]) {
                continue
            }
            int y0 = from(low[2 * n] - reach[1], size[2]), y1 = to(high[2 * n] + reach[0], size[2], height)
            int x0 = from(low[2 * n + 1] - reach[3], size[3]), x1 = to(high[2 * n + 1] + reach[2], size[3], width)
            for (int y = y0; y <= y1; y++) {
                for (int x = x0; x <= x1; x++) {
                    int other = index[y * width + x] - 1
                    if (other > n && there[other] && overlaps(n, other, threshold)) {
                        there[other] = false
                    }
                }
            }
        }
    }

    private static int from(double pixel, int grid) {
        return Math.max(0, (int) Math.floor(pixel / grid))
    }

    private static int to(double pixel, int grid, int length) {
        return Math.min(length - 1, (int) Math.ceil(pixel / grid))
    }

    private boolean overlaps(int one, int other, double threshold) {
        double sideY = Math.min(high[2 * one], high[2 * other]) - Math.max(low[2 * one], low[2 * other])
        double sideX = Math.min(high[2 * one + 1], high[2 * other + 1]) - Math.max(low[2 * one + 1], low[2 * other + 1])
        if (sideY < 0d || sideX < 0d) {
            return false
        }
        double smaller = Math.min(areas[one], areas[other])
        if ((sideY + 2d) * (sideX + 2d) <= threshold * smaller) {
            return false
        }
        return (float) (shared(one * rays, other * rays) / (smaller + 1e-10d)) > (float) threshold
    }

    /** Area that two polygons share: over all pairs of edges the signed distance, where both have the same X. */
    private double shared(int one, int other) {
        double middleY = cornerY[one], middleX = cornerX[one], sum = 0d
        for (int i = 0; i < rays; i++) {
            int a = one + i, b = i == rays - 1 ? one : a + 1
            double ax = cornerX[a] - middleX, bx = cornerX[b] - middleX
            if (ax == bx) {
                continue
            }
            double ay = cornerY[a] - middleY, first = Math.min(ax, bx), last = Math.max(ax, bx)
            double slope = (cornerY[b] - cornerY[a]) / (bx - ax)
            double part = distancesFrom(other, middleY, middleX, first, last, slope, ay - slope * ax)
            sum = sum + (bx > ax ? part : -part)
        }
        return Math.abs(sum) > 2e-6d ? Math.abs(sum) / 2d : 0d   // two polygons of no area share nothing
    }

    private double distancesFrom(int other, double middleY, double middleX, double first, double last, double slope,
                                 double offset) {
        double sum = 0d
        double cx = cornerX[other + rays - 1] - middleX, cy = cornerY[other + rays - 1] - middleY
        for (int j = 0; j < rays; j++) {
            double dx = cornerX[other + j] - middleX, dy = cornerY[other + j] - middleY
            double begin = Math.max(first, Math.min(cx, dx)), end = Math.min(last, Math.max(cx, dx))
            if (end > begin) {
                double steep = (dy - cy) / (dx - cx)
                double gap = offset + slope * begin - (cy + steep * (begin - cx))
                double ending = gap + (slope - steep) * (end - begin)
                double total = Math.abs(gap) + Math.abs(ending) + 1e-30d
                double part = (end - begin) * (total / 2d + Math.min(gap * ending, 0d) / total)
                sum = sum + (dx > cx ? part : -part)
            }
            cx = dx
            cy = dy
        }
        return sum
    }

    private int[] draw(int height, int width) {
        int[] labels = new int[height * width]
        int kept = 0
        for (int n = 0; n < count; n++) {
            kept = there[n] ? kept + 1 : kept
        }
        int[] members = new int[kept]
        long[] order = new long[kept]
        int number = 0
        for (int n = 0; n < count; n++) {
            if (there[n]) {
                members[number] = n
                order[number] = key(prob[n], number)
                number = number + 1
            }
        }
        Arrays.sort(order)   // the most probable last, so that it lies on top
        double[] ys = new double[rays], xs = new double[rays]
        for (int i = 0; i < kept; i++) {
            number = (int) (order[i] & 0xffffffffL)
            outline(members[number], ys, xs)
            fill(labels, height, width, ys, xs, number + 1)
        }
        return labels
    }

    private void outline(int n, double[] ys, double[] xs) {
        double step = 2d * Math.PI / rays
        for (int k = 0; k < rays; k++) {
            float y = (float) (distances[n * rays + k] * Math.sin(step * k))
            float x = (float) (distances[n * rays + k] * Math.cos(step * k))
            ys[k] = (double) (float) ((double) y + pointY[n])
            xs[k] = (double) (float) ((double) x + pointX[n])
        }
    }

    /** Pixels inside of a polygon or on its border; O'Rourke, Computational Geometry in C, 1998, section 7.4. */
    private static void fill(int[] labels, int height, int width, double[] ys, double[] xs, int label) {
        double y0 = ys[0], y1 = ys[0], x0 = xs[0], x1 = xs[0]
        for (int k = 1; k < ys.length; k++) {
            y0 = Math.min(y0, ys[k])
            y1 = Math.max(y1, ys[k])
            x0 = Math.min(x0, xs[k])
            x1 = Math.max(x1, xs[k])
        }
        int bottom = Math.min(height - 1, (int) Math.ceil(y1)), right = Math.min(width - 1, (int) Math.ceil(x1))
        for (int y = (int) Math.max(0d, y0); y <= bottom; y++) {
            for (int x = (int) Math.max(0d, x0); x <= right; x++) {
                if (holds(ys, xs, y, x)) {
                    labels[y * width + x] = label
                }
            }
        }
    }

    private static boolean holds(double[] ys, double[] xs, int y, int x) {
        boolean right = false, left = false
        double px = xs[xs.length - 1] - x, py = ys[ys.length - 1] - y
        for (int k = 0; k < ys.length; k++) {
            double qx = xs[k] - x, qy = ys[k] - y
            if (qx > -1e-12d && qx < 1e-12d && qy > -1e-12d && qy < 1e-12d) {
                return true
            }
            if ((qy > 0d) != (py > 0d) && (qx * py - px * qy) / (py - qy) > 0d) {
                right = !right
            }
            if ((qy < 0d) != (py < 0d) && (qx * py - px * qy) / (py - qy) < 0d) {
                left = !left
            }
            px = qx
            py = qy
        }
        return right || right != left
    }
}
