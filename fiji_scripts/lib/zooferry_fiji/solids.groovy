import groovy.transform.CompileStatic

/**
 * Geometry of star-convex polyhedra: the same numbers as zooferry/instances/solids.py, where it is told.
 *
 * Coordinates are Z, Y, X, one after the other. In Groovy float + float is double: casts say where 32 bit are meant.
 */
@CompileStatic
class Solids {

    private static final double CLOSE = 3e-4d
    private static final int MOST = 100, UNKNOWN = 0, BORDER = -1

    int count             // rays
    float[] rays
    int[] faces
    int[] points          // of all polyhedra
    float[] corners       // polyhedron after polyhedron, ray after ray
    boolean[] few         // which have a short distance
    double[] sides        // of the cones between three rays, into the cone
    int[] reach = new int[3]
    int[] kept            // for each offset the face in whose cone it lies + 1

    public Solids(int count, double[] anisotropy) {
        this.count = count
        rays = directions(count, anisotropy)
        faces = facesOf(directions(count, [1d, 1d, 1d] as double[]))
        sides = new double[3 * faces.length]
        for (int f = 0; f < faces.length; f += 3) {
            for (int k = 0; k < 3; k++) {
                side(f, k)
            }
        }
    }

    /** Along a Fibonacci spiral on a sphere; see volume_rays in zooferry/instances/star_targets.py. */
    static float[] directions(int count, double[] anisotropy) {
        float[] result = new float[3 * count]
        for (int k = 0; k < count; k++) {
            double turn = (3d - Math.sqrt(5d)) * Math.PI * k
            double height = k == count - 1 ? 1d : k * (2d / (count - 1)) - 1d
            double radius = Math.sqrt(1d - height * height)
            double z = height / anisotropy[0], y = radius * Math.sin(turn) / anisotropy[1]
            double x = radius * Math.cos(turn) / anisotropy[2], length = Math.sqrt(z * z + y * y + x * x)
            result[3 * k] = (float) (z / length)
            result[3 * k + 1] = (float) (y / length)
            result[3 * k + 2] = (float) (x / length)
        }
        return result
    }

    /** Triangles that have all other points on one side, sorted, in one sense seen from outside. */
    private static int[] facesOf(float[] at) {
        int count = at.length.intdiv(3).intValue(), found = 0
        int[] result = new int[3 * (2 * count)]
        double[] normal = new double[3]
        for (int i = 0; i < count; i++) {
            for (int j = i + 1; j < count; j++) {
                for (int k = j + 1; k < count; k++) {
                    int side = sideOfOthers(at, i, j, k, normal)
                    if (side != 0 && found + 3 <= result.length) {
                        result[found] = i
                        result[found + 1] = side > 0 ? k : j
                        result[found + 2] = side > 0 ? j : k
                        found = found + 3
                    }
                }
            }
        }
        return Arrays.copyOf(result, found)
    }

    private static int sideOfOthers(float[] at, int i, int j, int k, double[] normal) {
        normalOf(at, 3 * i, 3 * j, 3 * k, normal)
        int side = 0
        for (int m = 0; 3 * m < at.length; m++) {
            if (m == i || m == j || m == k) {
                continue
            }
            double z = (double) at[3 * m] - at[3 * i], y = (double) at[3 * m + 1] - at[3 * i + 1]
            double depth = normal[0] * z + normal[1] * y + normal[2] * ((double) at[3 * m + 2] - at[3 * i + 2])
            int one = depth > 0d ? 1 : -1
            if (side != 0 && side != one) {
                return 0
            }
            side = one
        }
        return side
    }

    private static void normalOf(float[] at, int a, int b, int c, double[] normal) {
        double p0 = (double) at[b] - at[a], p1 = (double) at[b + 1] - at[a + 1], p2 = (double) at[b + 2] - at[a + 2]
        double q0 = (double) at[c] - at[a], q1 = (double) at[c + 1] - at[a + 1], q2 = (double) at[c + 2] - at[a + 2]
        normal[0] = p2 * q1 - p1 * q2
        normal[1] = p0 * q2 - p2 * q0
        normal[2] = p1 * q0 - p0 * q1
    }

    /** The plane through the point and two rays of a face, turned towards the third one. */
    private void side(int f, int k) {
        int a = 3 * faces[f + k], b = 3 * faces[f + (k + 1) % 3], c = 3 * faces[f + (k + 2) % 3]
        double z = (double) rays[a + 2] * rays[b + 1] - (double) rays[a + 1] * rays[b + 2]
        double y = (double) rays[a] * rays[b + 2] - (double) rays[a + 2] * rays[b]
        double x = (double) rays[a + 1] * rays[b] - (double) rays[a] * rays[b + 1]
        double length = Math.sqrt(z * z + y * y + x * x)
        length = z * rays[c] + y * rays[c + 1] + x * rays[c + 2] < 0d ? -length : length
        sides[3 * (f + k)] = z / length
        sides[3 * (f + k) + 1] = y / length
        sides[3 * (f + k) + 2] = x / length
    }

    /** What is kept for offsets up to `farthest` pixels along each axis. */
    public void keep(int[] farthest) {
        for (int axis = 0; axis < 3; axis++) {
            reach[axis] = Math.min(farthest[axis], MOST)
        }
        kept = new int[(2 * reach[0] + 1) * (2 * reach[1] + 1) * (2 * reach[2] + 1)]
    }

    private int faceAt(int z, int y, int x) {
        if (Math.abs(z) > reach[0] || Math.abs(y) > reach[1] || Math.abs(x) > reach[2]) {
            return cone(z, y, x)
        }
        int place = ((z + reach[0]) * (2 * reach[1] + 1) + y + reach[1]) * (2 * reach[2] + 1) + x + reach[2]
        if (kept[place] == UNKNOWN) {
            kept[place] = cone(z, y, x)
        }
        return kept[place]
    }

    private int cone(int z, int y, int x) {
        double least = CLOSE * Math.sqrt((double) z * z + (double) y * y + (double) x * x)
        for (int f = 0; f < faces.length; f += 3) {
            boolean inside = true
            for (int s = 3 * f; s < 3 * f + 9 && inside; s += 3) {
                inside = sides[s] * z + sides[s + 1] * y + sides[s + 2] * x > least
            }
            if (inside) {
                return f.intdiv(3).intValue() + 1
            }
        }
        return BORDER
    }

    /** Whether a pixel lies in one of the tetrahedra between polyhedron n's point and a face. */
    public boolean holds(int n, int z, int y, int x) {
        int face = few[n] ? BORDER : faceAt(z - points[3 * n], y - points[3 * n + 1], x - points[3 * n + 2])
        if (face > 0) {
            int f = 3 * (face - 1)
            return beyond(z, y, x, corner(n, faces[f]), corner(n, faces[f + 1]), corner(n, faces[f + 2]), n)
        }
        for (int f = 0; f < faces.length; f += 3) {
            int a = corner(n, faces[f]), b = corner(n, faces[f + 1]), c = corner(n, faces[f + 2])
            if (beyond(z, y, x, a, b, c, n) && beyond(z, y, x, -1, b, a, n) && beyond(z, y, x, -1, c, b, n) &&
                beyond(z, y, x, -1, a, c, n)) {
                return true
            }
        }
        return false
    }

    private int corner(int n, int ray) {
        return 3 * (n * count + ray)
    }

    /** Whether a determinant is 0 or more, in 32 bit; `a` is -1 for the point of polyhedron n. */
    private boolean beyond(int z, int y, int x, int a, int b, int c, int n) {
        float a0 = a < 0 ? (float) points[3 * n] : corners[a], a1 = a < 0 ? (float) points[3 * n + 1] : corners[a + 1]
        float a2 = a < 0 ? (float) points[3 * n + 2] : corners[a + 2]
        float p0 = (float) (corners[b] - a0), p1 = (float) (corners[b + 1] - a1), p2 = (float) (corners[b + 2] - a2)
        float q0 = (float) (corners[c] - a0), q1 = (float) (corners[c + 1] - a1), q2 = (float) (corners[c + 2] - a2)
        float r0 = (float) (z - a0), r1 = (float) (y - a1), r2 = (float) (x - a2)
        float first = (float) (p0 * minor(q1, r2, r1, q2))
        float second = (float) (p1 * minor(q0, r2, q2, r0))
        float third = (float) (p2 * minor(q0, r1, q1, r0))
        return (float) ((float) (first - second) + third) >= 0f
    }

    private static float minor(float a, float b, float c, float d) {
        return (float) ((float) (a * b) - (float) (c * d))
    }

    /** Half-spaces of the faces of polyhedron n in 32 bit: normal and offset, which is 0 or less inside. */
    public double[] facePlanes(int n) {
        double[] planes = new double[faces.length.intdiv(3).intValue() * 4]
        for (int f = 0; f < faces.length; f += 3) {
            int a = corner(n, faces[f]), b = corner(n, faces[f + 1]), c = corner(n, faces[f + 2])
            float p0 = (float) (corners[b] - corners[a]), q0 = (float) (corners[c] - corners[a])
            float p1 = (float) (corners[b + 1] - corners[a + 1]), q1 = (float) (corners[c + 1] - corners[a + 1])
            float p2 = (float) (corners[b + 2] - corners[a + 2]), q2 = (float) (corners[c + 2] - corners[a + 2])
            float z = minor(p2, q1, p1, q2), y = minor(p0, q2, p2, q0), x = minor(p1, q0, p0, q1)
            float sum = (float) ((float) (corners[a] * z) + (float) (corners[a + 1] * y))
            int place = f.intdiv(3).intValue() * 4
            planes[place] = z
            planes[place + 1] = y
            planes[place + 2] = x
            planes[place + 3] = -(float) (sum + (float) (corners[a + 2] * x))
        }
        return planes
    }

    public static boolean behind(double[] planes, int z, int y, int x) {
        for (int i = 0; i < planes.length; i += 4) {
            if (planes[i] * z + planes[i + 1] * y + planes[i + 2] * x + planes[i + 3] > 0d) {
                return false
            }
        }
        return true
    }
}
