import groovy.transform.CompileStatic

/**
 * Flows: logit of the probability and a field that points to each object's centre to labels, by Cellpose's dynamics.
 *
 * The same numbers as zooferry/instances/flows.py and heat.py, where the rule and its source are told; arrays are
 * Y X, row by row. In Groovy float + float is double: a cast says where 32 bit are meant.
 */
@CompileStatic
class Flows {

    static final int RADIUS = 2, REACH = 5, AROUND = 7, SEED = 10, GROWN = 2

    /**
     * @param heads flow along Y, flow along X, logit
     * @param thresholds of the logit, of the difference of flows (0: no check), of the part of the image
     * @param numbers pixels of the smallest object, steps, 1 if objects are numbered anew before small ones go
     */
    public static int[] labels(float[][] heads, int height, int width, double[] thresholds, int[] numbers) {
        int size = height * width
        boolean[] inside = new boolean[size]
        float[][] field = new float[2][size], flows = new float[2][size]
        boolean any = false
        for (int i = 0; i < size; i++) {
            inside[i] = heads[2][i] > (float) thresholds[0]
            any = any || inside[i]
            for (int axis = 0; axis < 2; axis++) {
                flows[axis][i] = (float) (heads[axis][i] / 5f)
                field[axis][i] = inside[i] ? flows[axis][i] : 0f
            }
        }
        if (!any) {
            return new int[size]
        }
        int[] ends = follow(field, inside, height, width, numbers[1])
        int[] labels = gather(ends, inside, height, width)
        labels = Regions.inOrder(without(labels, large(labels, thresholds[2])))
        if (thresholds[1] > 0d && Regions.largest(labels) > 0) {
            double[] errors = errors(labels, flows, height, width)
            boolean[] bad = new boolean[errors.length]
            for (int n = 0; n < bad.length; n++) {
                bad[n] = errors[n] > thresholds[1]
            }
            labels = without(labels, bad)
        }
        return Regions.fillAndDrop(numbers[2] == 1 ? Regions.inOrder(labels) : labels, width, numbers[0])
    }

    private static boolean[] large(int[] labels, double part) {
        int[] sizes = Regions.sizes(labels)
        boolean[] result = new boolean[sizes.length]
        for (int n = 0; n < sizes.length; n++) {
            result[n] = sizes[n] > labels.length * part
        }
        return result
    }

    private static int[] without(int[] labels, boolean[] gone) {
        int[] result = new int[labels.length]
        for (int i = 0; i < labels.length; i++) {
            result[i] = gone[labels[i]] ? 0 : labels[i]
        }
        return result
    }

    /** In which pixel each pixel ends. */
    private static int[] follow(float[][] field, boolean[] inside, int height, int width, int steps) {
        int[] ends = new int[inside.length]
        float[] now = new float[2], next = new float[2]
        for (int i = 0; i < inside.length; i++) {
            if (!inside[i]) {
                continue
            }
            now[0] = (float) i.intdiv(width).intValue()
            now[1] = (float) (i % width)
            float beforeY = -1f, beforeX = -1f
            for (int step = 0; step < steps; step++) {
                move(field, height, width, now, next)
                // a point that comes back to where it was two steps ago goes on like this
                if (next[0] == beforeY && next[1] == beforeX && (steps - step) % 2 == 0) {
                    break
                }
                beforeY = now[0]
                beforeX = now[1]
                now[0] = next[0]
                now[1] = next[1]
            }
            ends[i] = (int) now[0] * width + (int) now[1]
        }
        return ends
    }

    private static void move(float[][] field, int height, int width, float[] now, float[] next) {
        int wholeY = (int) now[0], wholeX = (int) now[1]
        double y = (double) now[0] - wholeY, x = (double) now[1] - wholeX
        double backY = 1d - y, backX = 1d - x
        int above = wholeY * width, below = Math.min(wholeY + 1, height - 1) * width
        int right = Math.min(wholeX + 1, width - 1)
        for (int axis = 0; axis < 2; axis++) {
            float[] values = field[axis]
            double sample = (double) values[above + wholeX] * backY * backX
            sample = sample + (double) values[above + right] * backY * x
            sample = sample + (double) values[below + wholeX] * y * backX
            sample = sample + (double) values[below + right] * y * x
            float end = (float) (now[axis] + (float) sample)
            next[axis] = Math.min((float) ((axis == 0 ? height : width) - 1), Math.max(0f, end))
        }
    }

    private static int[] gather(int[] ends, boolean[] inside, int height, int width) {
        int columns = width + 2 * AROUND
        int[] counts = new int[(height + 2 * AROUND) * columns]
        for (int i = 0; i < ends.length; i++) {
            if (inside[i]) {
                int place = padded(ends[i], width)
                counts[place] = counts[place] + 1
            }
        }
        long[] seeds = new long[counts.length]
        int count = 0
        for (int y = AROUND; y < height + AROUND; y++) {
            for (int x = AROUND; x < width + AROUND; x++) {
                int place = y * columns + x
                if (counts[place] > SEED && isHighest(counts, place, columns)) {
                    seeds[count] = ((long) counts[place] << 32) | (long) place
                    count = count + 1
                }
            }
        }
        Arrays.sort(seeds, 0, count)
        int[] owners = new int[counts.length]
        for (int n = 0; n < count; n++) {
            grow(counts, owners, (int) (seeds[n] & 0xffffffffL), columns, n + 1)
        }
        int[] labels = new int[ends.length]
        for (int i = 0; i < ends.length; i++) {
            labels[i] = inside[i] ? owners[padded(ends[i], width)] : 0
        }
        return labels
    }

    private static int padded(int place, int width) {
        return (place.intdiv(width).intValue() + AROUND) * (width + 2 * AROUND) + place % width + AROUND
    }

    private static boolean isHighest(int[] counts, int place, int columns) {
        for (int down = -RADIUS; down <= RADIUS; down++) {
            for (int right = -RADIUS; right <= RADIUS; right++) {
                if (counts[place + down * columns + right] > counts[place]) {
                    return false
                }
            }
        }
        return true
    }

    /** What the seed reaches in REACH steps to any of 8 neighbours becomes its own. */
    private static void grow(int[] counts, int[] owners, int seed, int columns, int number) {
        int side = 2 * REACH + 1, corner = seed - REACH * columns - REACH
        int[] reached = new int[side * side]   // in which step, from 1
        reached[REACH * side + REACH] = 1
        if (counts[seed] > GROWN) {
            owners[seed] = number
        }
        for (int step = 1; step <= REACH; step++) {
            for (int i = 0; i < reached.length; i++) {
                int y = i.intdiv(side).intValue(), x = i % side
                if (reached[i] == 0 && counts[corner + y * columns + x] > GROWN && touches(reached, y, x, side, step)) {
                    reached[i] = step + 1
                    owners[corner + y * columns + x] = number
                }
            }
        }
    }

    private static boolean touches(int[] reached, int y, int x, int side, int step) {
        for (int near = Math.max(0, y - 1); near <= Math.min(side - 1, y + 1); near++) {
            for (int beside = Math.max(0, x - 1); beside <= Math.min(side - 1, x + 1); beside++) {
                int when = reached[near * side + beside]
                if (when > 0 && when <= step) {
                    return true
                }
            }
        }
        return false
    }

    /** For each number the mean squared distance between flows and those of the labels. */
    public static double[] errors(int[] labels, float[][] flows, int height, int width) {
        double[][] own = new double[2][labels.length]
        int[] box = Regions.boxes(labels, width), sizes = Regions.sizes(labels)
        for (int label = 1; label < sizes.length; label++) {
            if (sizes[label] > 0) {
                spread(labels, width, label, Arrays.copyOfRange(box, 4 * label, 4 * label + 4), own)
            }
        }
        double[] result = new double[sizes.length]
        for (int axis = 0; axis < 2; axis++) {
            double[] sums = new double[sizes.length]
            for (int i = 0; i < labels.length; i++) {
                double difference = own[axis][i] - flows[axis][i]
                sums[labels[i]] = sums[labels[i]] + difference * difference
            }
            for (int n = 1; n < sizes.length; n++) {
                result[n] = result[n] + sums[n] / Math.max(1, sizes[n])
            }
        }
        return result
    }

    /** Heat from the centre of one object; its slopes, as unit vectors, go into `own`. */
    private static void spread(int[] labels, int width, int label, int[] box, double[][] own) {
        int height = box[1] - box[0] + 3, columns = box[3] - box[2] + 3
        int[] places = new int[height * columns]
        int count = 0
        for (int y = 1; y < height - 1; y++) {
            for (int x = 1; x < columns - 1; x++) {
                if (labels[(box[0] + y - 1) * width + box[2] + x - 1] == label) {
                    places[count] = y * columns + x
                    count = count + 1
                }
            }
        }
        int centre = centreOf(places, count, columns), steps = 2 * (height + columns)
        double[] heat = new double[height * columns], next = new double[height * columns]
        for (int step = 0; step < steps; step++) {
            heat[centre] = heat[centre] + 1d
            for (int i = 0; i < count; i++) {
                int p = places[i]
                next[p] = (heat[p] + heat[p - columns] + heat[p + columns] + heat[p - 1] + heat[p + 1] +
                        heat[p - columns - 1] + heat[p - columns + 1] + heat[p + columns - 1] +
                        heat[p + columns + 1]) * (1d / 9d)
            }
            double[] swapped = heat
            heat = next
            next = swapped
        }
        for (int i = 0; i < count; i++) {
            int p = places[i]
            double dy = heat[p + columns] - heat[p - columns], dx = heat[p + 1] - heat[p - 1]
            double length = 1e-60d + Math.sqrt(dy * dy + dx * dx)
            int place = (box[0] + p.intdiv(columns).intValue() - 1) * width + box[2] + p % columns - 1
            own[0][place] = dy / length
            own[1][place] = dx / length
        }
    }

    private static int centreOf(int[] places, int count, int columns) {
        long sumY = 0L, sumX = 0L
        for (int i = 0; i < count; i++) {
            sumY = sumY + places[i].intdiv(columns).intValue()
            sumX = sumX + places[i] % columns
        }
        // from the corner of the box, as Python counts
        double y = (double) (sumY - count) / count, x = (double) (sumX - count) / count
        double nearest = Double.MAX_VALUE
        int found = places[0]
        for (int i = 0; i < count; i++) {
            double dy = places[i].intdiv(columns).intValue() - 1 - y, dx = places[i] % columns - 1 - x
            double distance = dx * dx + dy * dy
            if (distance < nearest) {
                nearest = distance
                found = places[i]
            }
        }
        return found
    }
}
