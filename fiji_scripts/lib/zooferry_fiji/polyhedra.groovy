import groovy.transform.CompileStatic

/**
 * Star-convex polyhedra: probability and distances along rays in space to labels, by StarDist's greedy rule.
 *
 * The same numbers as zooferry/instances/polyhedra.py, where the rule and its source are told; arrays are Z Y X.
 */
@CompileStatic
class Polyhedra {

    private static final float LEAST = 1e-3f, SHORT = 0.5f
    private static final double TINY = 1e-10d, FEW = 8d, MANY = 64d

    Solids solids
    int rays
    int count
    int[] points           // Z, Y, X of each candidate, by falling probability
    float[] offsets        // of the corners from there
    int[] boxes            // first and last Z, Y, X
    float[] volumes
    double[] inner         // radii of the largest sphere inside and of the smallest one around, where boxes are cubes
    double[] outer
    double[] scale = new double[3]
    boolean[] there
    double[][] hulls
    float threshold

    /**
     * @param prob Z Y X
     * @param distances one array (Z Y X) for each ray
     * @param size of prob along Z, Y, X, the grid, sizes of the labels
     * @param border pixels of prob that are no candidates: low and high along Z, Y, X
     * @param numbers thresholds of the probability and of the overlap, anisotropy along Z, Y, X
     */
    public static int[] labels(float[] prob, float[][] distances, int[] size, int[] border, double[] numbers) {
        Polyhedra found = new Polyhedra()
        found.rays = distances.length
        found.solids = new Solids(found.rays, Arrays.copyOfRange(numbers, 2, 5))
        found.threshold = (float) numbers[1]
        found.find(prob, distances, size, border, (float) numbers[0])
        found.place()
        found.measure()
        found.suppress()
        return found.draw(Arrays.copyOfRange(size, 6, 9))
    }

    private void find(float[] all, float[][] rayMaps, int[] size, int[] border, float least) {
        long[] keys = new long[all.length]
        count = 0
        for (int z = Math.max(border[0], 0); z < size[0] - Math.max(border[1], 0); z++) {
            for (int y = Math.max(border[2], 0); y < size[1] - Math.max(border[3], 0); y++) {
                for (int x = Math.max(border[4], 0); x < size[2] - Math.max(border[5], 0); x++) {
                    int place = (z * size[1] + y) * size[2] + x
                    if (all[place] > least) {
                        keys[count] = key(all[place], place)
                        count = count + 1
                    }
                }
            }
        }
        Arrays.sort(keys, 0, count)
        points = new int[3 * count]
        offsets = new float[3 * count * rays]
        solids.few = new boolean[count]
        for (int n = 0; n < count; n++) {
            int place = (int) (keys[count - 1 - n] & 0xffffffffL), plane = size[1] * size[2]
            points[3 * n] = place.intdiv(plane).intValue() * size[3]
            points[3 * n + 1] = (place % plane).intdiv(size[2]).intValue() * size[4]
            points[3 * n + 2] = (place % size[2]) * size[5]
            for (int k = 0; k < rays; k++) {
                float distance = rayMaps[k][place]
                solids.few[n] = solids.few[n] || distance < SHORT
                for (int axis = 0; axis < 3; axis++) {
                    int corner = 3 * (n * rays + k) + axis
                    offsets[corner] = (float) (Math.max(distance, LEAST) * solids.rays[3 * k + axis])
                }
            }
        }
    }

    /** Grows with the value, and with the place among equal values. */
    private static long key(float value, int place) {
        int bits = Float.floatToIntBits(value == 0f ? 0f : value)
        long ordered = bits >= 0 ? (long) bits : (long) (bits ^ 0x7fffffff)
        return (ordered << 32) | (long) place
    }

    /** Corners and boxes, and how far the latter go. */
    private void place() {
        solids.points = points
        solids.corners = new float[offsets.length]
        boxes = new int[6 * count]
        int[] reach = new int[3]
        for (int n = 0; n < count; n++) {
            for (int axis = 0; axis < 3; axis++) {
                int low = Integer.MAX_VALUE, high = Integer.MIN_VALUE, point = points[3 * n + axis]
                for (int k = n * rays; k < (n + 1) * rays; k++) {
                    float at = (float) (point + offsets[3 * k + axis])
                    solids.corners[3 * k + axis] = at
                    int whole = (int) Math.rint(at)
                    low = Math.min(low, whole)
                    high = Math.max(high, whole)
                }
                boxes[6 * n + 2 * axis] = low
                boxes[6 * n + 2 * axis + 1] = high
                scale[axis] = scale[axis] + (double) (high - low) / count
                reach[axis] = Math.max(reach[axis], Math.max(point - low, high - point))
            }
        }
        solids.keep(reach)
    }

    private void measure() {
        double largest = Math.max(scale[0], Math.max(scale[1], scale[2]))
        for (int axis = 0; axis < 3; axis++) {
            scale[axis] = largest / (scale[axis] > 0d ? scale[axis] : Math.max(largest, 1d))
        }
        volumes = new float[count]
        inner = new double[count]
        outer = new double[count]
        for (int n = 0; n < count; n++) {
            volumes[n] = (float) (sizes(n, [1d, 1d, 1d] as double[])[0] / 6d)
            inner[n] = sizes(n, scale)[1]
            for (int k = 3 * n * rays; k < 3 * (n + 1) * rays; k += 3) {
                double z = offsets[k] * scale[0], y = offsets[k + 1] * scale[1], x = offsets[k + 2] * scale[2]
                outer[n] = Math.max(outer[n], Math.sqrt(z * z + y * y + x * x))
            }
        }
    }

    /** Six times the volume of polyhedron n, scaled, and the distance of the nearest plane of a face. */
    private double[] sizes(int n, double[] by) {
        double volume = 0d, nearest = Double.MAX_VALUE
        double[] p = new double[3], q = new double[3], at = new double[3]
        for (int f = 0; f < solids.faces.length; f += 3) {
            for (int axis = 0; axis < 3; axis++) {
                at[axis] = offsets[3 * (n * rays + solids.faces[f]) + axis] * by[axis]
                p[axis] = offsets[3 * (n * rays + solids.faces[f + 1]) + axis] * by[axis] - at[axis]
                q[axis] = offsets[3 * (n * rays + solids.faces[f + 2]) + axis] * by[axis] - at[axis]
            }
            double z = p[2] * q[1] - p[1] * q[2], y = p[0] * q[2] - p[2] * q[0], x = p[1] * q[0] - p[0] * q[1]
            double depth = z * at[0] + y * at[1] + x * at[2]
            volume = volume + depth
            nearest = Math.min(nearest, depth / (Math.sqrt(z * z + y * y + x * x) + TINY))
        }
        return [volume, nearest] as double[]
    }

    private void suppress() {
        there = new boolean[count]
        Arrays.fill(there, true)
        hulls = new double[count][]
        for (int n = 0; n < count; n++) {
            int[] pixels = null
            for (int m = n + 1; m < count && there[n]; m++) {
                int known = there[m] ? bounds(n, m) : -1
                if (known == 0) {
                    pixels = pixels == null ? pixelsOf(n) : pixels
                    known = overlaps(n, m, pixels) ? 1 : -1
                }
                there[m] = there[m] && known < 1
            }
            hulls[n] = null
        }
    }

    /** 1 where n surely suppresses m, -1 where it surely does not, else 0. */
    private int bounds(int n, int m) {
        double common = 1d
        for (int axis = 0; axis < 3 && common > 0d; axis++) {
            int first = Math.max(boxes[6 * n + 2 * axis], boxes[6 * m + 2 * axis])
            int last = Math.min(boxes[6 * n + 2 * axis + 1], boxes[6 * m + 2 * axis + 1])
            common = common * Math.max(last - first, 0)
        }
        double upper = common > 0d ? Math.min(common, balls(outer, n, m)) : 0d
        if (upper < TINY || !above(upper, n, m)) {
            return -1
        }
        return above(balls(inner, n, m), n, m) ? 1 : 0
    }

    private boolean above(double shared, int n, int m) {
        return (float) (shared / ((double) Math.min(volumes[n], volumes[m]) + TINY)) > threshold
    }

    /** The volume that two spheres share. */
    private double balls(double[] radii, int n, int m) {
        double one = radii[n], two = radii[m], sum = 0d
        for (int axis = 0; axis < 3; axis++) {
            double between = (points[3 * n + axis] - points[3 * m + axis]) * scale[axis]
            sum = sum + between * between
        }
        double distance = Math.sqrt(sum), smaller = Math.min(one, two)
        if (distance > one + two) {
            return 0d
        }
        if (Math.max(one, two) >= distance + smaller - TINY) {
            return Math.PI * 4d / 3d * smaller * smaller * smaller
        }
        double share = (one + two - distance) / 2d / distance
        double first = (two - one + distance) * share, second = (one - two + distance) * share
        double caps = first * first * (3d * one - first) + second * second * (3d * two - second)
        return Math.PI / 3d * caps / (scale[0] * scale[1] * scale[2])
    }

    private int[] pixelsOf(int n) {
        int[] box = Arrays.copyOfRange(boxes, 6 * n, 6 * n + 6)
        int[] found = new int[3 * (box[1] - box[0] + 1) * (box[3] - box[2] + 1) * (box[5] - box[4] + 1)]
        int length = 0
        for (int z = box[0]; z <= box[1]; z++) {
            for (int y = box[2]; y <= box[3]; y++) {
                for (int x = box[4]; x <= box[5]; x++) {
                    if (solids.holds(n, z, y, x)) {
                        found[length] = z
                        found[length + 1] = y
                        found[length + 2] = x
                        length = length + 3
                    }
                }
            }
        }
        return Arrays.copyOf(found, length)
    }

    private boolean overlaps(int n, int m, int[] pixels) {
        int shared = 0
        for (int i = 0; i < pixels.length; i += 3) {
            int z = pixels[i], y = pixels[i + 1], x = pixels[i + 2]
            boolean near = z >= boxes[6 * m] && z <= boxes[6 * m + 1] && y >= boxes[6 * m + 2] &&
                y <= boxes[6 * m + 3] && x >= boxes[6 * m + 4] && x <= boxes[6 * m + 5]
            shared = near && solids.holds(m, z, y, x) ? shared + 1 : shared
        }
        double wanted = (double) threshold * (double) Math.min(volumes[n], volumes[m])
        double sure = wanted >= MANY ? 1.3d : 2d
        if (wanted >= FEW && (shared < wanted / sure || shared > wanted * sure)) {
            return shared > wanted
        }
        double z = middle(n, m, 0), y = middle(n, m, 1), x = middle(n, m, 2)
        if (!above((double) shared, n, m)) {
            double kernels = HalfSpaces.volume(joined(solids.facePlanes(n), solids.facePlanes(m)), z, y, x)
            return kernels >= 0d && above(kernels, n, m)
        }
        double[] one = hull(n), two = hull(m)
        double between = one == null || two == null ? -1d : HalfSpaces.volume(joined(one, two), z, y, x)
        return between < 0d || above(between, n, m)
    }

    private double middle(int n, int m, int axis) {
        return 0.5d * (points[3 * n + axis] + points[3 * m + axis])
    }

    private double[] hull(int n) {
        if (hulls[n] == null) {
            hulls[n] = HalfSpaces.hull(Arrays.copyOfRange(solids.corners, 3 * n * rays, 3 * (n + 1) * rays))
        }
        return hulls[n]
    }

    private static double[] joined(double[] one, double[] two) {
        double[] result = Arrays.copyOf(one, one.length + two.length)
        System.arraycopy(two, 0, result, one.length, two.length)
        return result
    }

    private int[] draw(int[] shape) {
        int[] labels = new int[shape[0] * shape[1] * shape[2]]
        int number = 0
        for (int n = 0; n < count; n++) {
            if (there[n] && drawn(n, labels, shape, number + 1)) {
                number = number + 1
            }
        }
        return labels
    }

    private boolean drawn(int n, int[] labels, int[] shape, int label) {
        double[] kernel = solids.facePlanes(n), around = hull(n)
        boolean any = false
        for (int z = Math.max(0, boxes[6 * n]); z <= Math.min(shape[0] - 1, boxes[6 * n + 1]); z++) {
            for (int y = Math.max(0, boxes[6 * n + 2]); y <= Math.min(shape[1] - 1, boxes[6 * n + 3]); y++) {
                for (int x = Math.max(0, boxes[6 * n + 4]); x <= Math.min(shape[2] - 1, boxes[6 * n + 5]); x++) {
                    int place = (z * shape[1] + y) * shape[2] + x
                    if (labels[place] == 0 && ((solids.holds(n, z, y, x) &&
                        (around == null || Solids.behind(around, z, y, x))) || Solids.behind(kernel, z, y, x))) {
                        labels[place] = label
                        any = true
                    }
                }
            }
        }
        return any
    }
}
