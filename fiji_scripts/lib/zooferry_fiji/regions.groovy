import groovy.transform.CompileStatic

/** Small things that label images ((Z) Y X, row by row) need; the same numbers as zooferry/instances. */
@CompileStatic
class Regions {

    /** Numbers from 1 in the order in which Y, then X, meets the objects; how often each number was there: `sizes`. */
    public static int[] inOrder(int[] labels) {
        int[] numbers = new int[largest(labels) + 1]
        int[] result = new int[labels.length]
        int count = 0
        for (int i = 0; i < labels.length; i++) {
            int label = labels[i]
            if (label > 0 && numbers[label] == 0) {
                count = count + 1
                numbers[label] = count
            }
            result[i] = label > 0 ? numbers[label] : 0
        }
        return result
    }

    public static int largest(int[] labels) {
        int found = 0
        for (int i = 0; i < labels.length; i++) {
            found = Math.max(found, labels[i])
        }
        return found
    }

    public static int[] sizes(int[] labels) {
        int[] result = new int[largest(labels) + 1]
        for (int i = 0; i < labels.length; i++) {
            result[labels[i]] = result[labels[i]] + 1
        }
        return result
    }

    /** Boxes of the objects: first and last Y, first and last X of each number, -1 where there is none. */
    public static int[] boxes(int[] labels, int width) {
        int[] result = new int[4 * (largest(labels) + 1)]
        Arrays.fill(result, -1)
        for (int i = 0; i < labels.length; i++) {
            if (labels[i] == 0) {
                continue
            }
            int y = i.intdiv(width).intValue(), x = i % width, place = 4 * labels[i]
            if (result[place] < 0) {
                result[place] = y
                result[place + 2] = x
                result[place + 3] = x
            }
            result[place + 1] = y
            result[place + 2] = Math.min(result[place + 2], x)
            result[place + 3] = Math.max(result[place + 3], x)
        }
        return result
    }

    /** Objects of pixels that touch along an axis, in the order in which Z, Y, X meet them; size: depth, height, width. */
    public static int[] components(boolean[] mask, int[] size) {
        int[] labels = new int[mask.length], waiting = new int[mask.length]
        int count = 0
        for (int start = 0; start < mask.length; start++) {
            if (!mask[start] || labels[start] > 0) {
                continue
            }
            count = count + 1
            labels[start] = count
            waiting[0] = start
            int waits = 1
            while (waits > 0) {
                waits = waits - 1
                int place = waiting[waits]
                for (int side = 0; side < 6; side++) {
                    int near = neighbour(place, side, size)
                    if (near >= 0 && mask[near] && labels[near] == 0) {
                        labels[near] = count
                        waiting[waits] = near
                        waits = waits + 1
                    }
                }
            }
        }
        return labels
    }

    /** Below, above, up, down, left, right; -1 beyond the edge. */
    private static int neighbour(int place, int side, int[] size) {
        int width = size[2], plane = size[1] * width
        if (side < 2) {
            int z = place.intdiv(plane).intValue()
            return side == 0 ? (z > 0 ? place - plane : -1) : (z < size[0] - 1 ? place + plane : -1)
        }
        if (side < 4) {
            int y = (place % plane).intdiv(width).intValue()
            return side == 2 ? (y > 0 ? place - width : -1) : (y < size[1] - 1 ? place + width : -1)
        }
        int x = place % width
        return side == 4 ? (x > 0 ? place - 1 : -1) : (x < width - 1 ? place + 1 : -1)
    }

    /**
     * Border classes; see zooferry/instances/borders.py.
     *
     * @param classes background, object, border, each (Z) Y X
     * @param size depth, height, width; a plane has depth 1
     */
    public static int[] ofClasses(float[][] classes, int[] size, double threshold, int least, int grow) {
        int length = size[0] * size[1] * size[2]
        boolean[] mask = new boolean[length], border = new boolean[length]
        for (int i = 0; i < length; i++) {
            mask[i] = classes[1][i] > (float) threshold
            border[i] = classes[2][i] > classes[0][i] && classes[2][i] >= classes[1][i]
        }
        int[] labels = components(mask, size)
        if (least > 0) {
            int[] counts = sizes(labels)
            for (int i = 0; i < labels.length; i++) {
                labels[i] = counts[labels[i]] < least ? 0 : labels[i]
            }
            labels = inOrder(labels)
        }
        for (int step = 0; step < grow; step++) {
            int[] grown = grownOnce(labels, border, size)
            if (Arrays.equals(grown, labels)) {
                break
            }
            labels = grown
        }
        return labels
    }

    private static int[] grownOnce(int[] labels, boolean[] allowed, int[] size) {
        int[] result = labels.clone()
        for (int i = 0; i < labels.length; i++) {
            if (labels[i] != 0 || !allowed[i]) {
                continue
            }
            for (int side = 0; side < 6 && result[i] == 0; side++) {
                int near = neighbour(i, side, size)
                result[i] = near < 0 ? 0 : labels[near]
            }
        }
        return result
    }

    /** Drops small objects, fills holes, drops what has become small; see fill_and_drop in zooferry/instances. */
    public static int[] fillAndDrop(int[] labels, int width, int least) {
        int[] result = least > 0 ? dropped(labels, least) : labels.clone()
        int[] box = boxes(result, width)
        int number = 0
        for (int label = 1; 4 * label < box.length; label++) {
            if (box[4 * label] >= 0) {
                number = number + 1
                fillOne(result, width, label, number, Arrays.copyOfRange(box, 4 * label, 4 * label + 4))
            }
        }
        return least > 0 ? dropped(result, least) : result
    }

    /** As cellpose 3.1: the n-th size is taken for that of number n, and the first for that of the background. */
    private static int[] dropped(int[] labels, int least) {
        int[] counts = sizes(labels), result = labels.clone()
        boolean[] small = new boolean[counts.length + 1]
        int seen = 0
        for (int label = 0; label < counts.length; label++) {
            if (counts[label] > 0) {
                small[seen] = seen > 0 && counts[label] < least
                seen = seen + 1
            }
        }
        for (int i = 0; i < result.length; i++) {
            result[i] = small[result[i]] ? 0 : result[i]
        }
        return inOrder(result)
    }

    private static void fillOne(int[] labels, int width, int label, int number, int[] box) {
        int height = box[1] - box[0] + 3, columns = box[3] - box[2] + 3
        boolean[] outside = new boolean[height * columns]
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < columns; x++) {
                boolean frame = y == 0 || x == 0 || y == height - 1 || x == columns - 1
                outside[y * columns + x] = frame || labels[(box[0] + y - 1) * width + box[2] + x - 1] != label
            }
        }
        int[] parts = components(outside, [1, height, columns] as int[])   // the first one holds the frame
        for (int y = 1; y < height - 1; y++) {
            for (int x = 1; x < columns - 1; x++) {
                if (parts[y * columns + x] != 1) {
                    labels[(box[0] + y - 1) * width + box[2] + x - 1] = number
                }
            }
        }
    }

    /** Adds to all labels of a plane, in place, what makes them follow `highest`; the new highest label. */
    public static int shift(float[] labels, int highest) {
        int found = highest
        for (int i = 0; i < labels.length; i++) {
            if (labels[i] > 0f) {
                labels[i] = (float) (labels[i] + highest)
                found = Math.max(found, (int) labels[i])
            }
        }
        return found
    }

    public static short[] toShorts(float[] labels) {
        short[] result = new short[labels.length]
        for (int i = 0; i < labels.length; i++) {
            result[i] = (short) (int) labels[i]
        }
        return result
    }

    public static int[] toInts(float[] labels) {
        int[] result = new int[labels.length]
        for (int i = 0; i < labels.length; i++) {
            result[i] = (int) labels[i]
        }
        return result
    }
}
