import groovy.transform.CompileStatic

/** Volumes between planes, and convex hulls; planes are normal and offset, which is 0 or less inside. */
@CompileStatic
class HalfSpaces {

    private static final double FAR = 1e5d

    /** Volume of the intersection; -1 where the point does not lie in all of them. */
    public static double volume(double[] planes, double z, double y, double x) {
        int count = planes.length.intdiv(4).intValue()
        double[] own = new double[planes.length]   // unit normals, and distances of the planes from the point
        for (int i = 0; i < count; i++) {
            double a = planes[4 * i], b = planes[4 * i + 1], c = planes[4 * i + 2]
            double beyond = a * z + b * y + c * x + planes[4 * i + 3], length = Math.sqrt(a * a + b * b + c * c)
            if (!(beyond < 0d)) {
                return -1d
            }
            own[4 * i] = a / length
            own[4 * i + 1] = b / length
            own[4 * i + 2] = c / length
            own[4 * i + 3] = -beyond / length
        }
        double total = 0d
        for (int i = 0; i < count; i++) {
            total = total + own[4 * i + 3] * area(own, i) / 3d
        }
        return total
    }

    /** Area of plane i behind all other planes: a large square, cut by them. */
    private static double area(double[] own, int i) {
        double a = own[4 * i], b = own[4 * i + 1], c = own[4 * i + 2], distance = own[4 * i + 3]
        double length = Math.abs(a) < 0.7d ? Math.sqrt(b * b + c * c) : Math.sqrt(a * a + b * b)
        double u0 = Math.abs(a) < 0.7d ? 0d : -b / length, u1 = Math.abs(a) < 0.7d ? -c / length : a / length
        double u2 = Math.abs(a) < 0.7d ? b / length : 0d
        double v0 = b * u2 - c * u1, v1 = c * u0 - a * u2, v2 = a * u1 - b * u0
        double[][] lines = [[-FAR, -FAR, FAR, FAR] as double[], [-FAR, FAR, FAR, -FAR] as double[]] as double[][]
        for (int j = 0; 4 * j < own.length && lines[0].length > 2; j++) {
            if (j == i) {
                continue
            }
            double p = own[4 * j] * u0 + own[4 * j + 1] * u1 + own[4 * j + 2] * u2
            double q = own[4 * j] * v0 + own[4 * j + 1] * v1 + own[4 * j + 2] * v2
            double r = own[4 * j + 3] - distance * (own[4 * j] * a + own[4 * j + 1] * b + own[4 * j + 2] * c)
            if (p == 0d && q == 0d && r == 0d && j < i) {
                return 0d   // the same plane once more
            }
            lines = cut(lines, p, q, r)
        }
        double sum = 0d
        for (int k = 0; k < lines[0].length; k++) {
            int next = k == lines[0].length - 1 ? 0 : k + 1
            sum = sum + lines[0][k] * lines[1][next] - lines[0][next] * lines[1][k]
        }
        return Math.abs(sum) / 2d
    }

    /** The part of a convex polygon (first and second coordinates) with p s + q t <= r. */
    private static double[][] cut(double[][] lines, double p, double q, double r) {
        int count = lines[0].length, kept = 0
        double[] depths = new double[count]
        int inside = 0
        for (int k = 0; k < count; k++) {
            depths[k] = p * lines[0][k] + q * lines[1][k] - r
            inside = depths[k] <= 0d ? inside + 1 : inside
        }
        if (inside == count) {
            return lines
        }
        double[] s = new double[count + 2], t = new double[count + 2]
        for (int k = 0; k < count && inside > 0; k++) {
            int next = k == count - 1 ? 0 : k + 1
            if (depths[k] <= 0d) {
                s[kept] = lines[0][k]
                t[kept] = lines[1][k]
                kept = kept + 1
            }
            if ((depths[k] <= 0d) != (depths[next] <= 0d)) {
                double part = depths[k] / (depths[k] - depths[next])
                s[kept] = lines[0][k] + part * (lines[0][next] - lines[0][k])
                t[kept] = lines[1][k] + part * (lines[1][next] - lines[1][k])
                kept = kept + 1
            }
        }
        return [Arrays.copyOf(s, kept), Arrays.copyOf(t, kept)] as double[][]
    }

    /** Planes of the convex hull of points (Z, Y, X, ...); null where they have none. */
    public static double[] hull(float[] points) {
        int count = points.length.intdiv(3).intValue()
        int[] first = start(points, count)
        if (first == null) {
            return null
        }
        List<int[]> faces = new ArrayList<int[]>()
        List<double[]> planes = new ArrayList<double[]>()
        for (int skip = 0; skip < 4; skip++) {
            int a = first[skip == 0 ? 1 : 0], b = first[skip < 2 ? 2 : 1], c = first[skip < 3 ? 3 : 2]
            add(points, faces, planes, [a, b, c] as int[], first)
        }
        for (int n = 0; n < count; n++) {
            grow(points, faces, planes, n, first)
        }
        double[] result = new double[4 * planes.size()]
        for (int i = 0; i < planes.size(); i++) {
            System.arraycopy(planes.get(i), 0, result, 4 * i, 4)
        }
        return result
    }

    /** Replaces the faces that see a point by those between it and their rim. */
    private static void grow(float[] points, List<int[]> faces, List<double[]> planes, int n, int[] first) {
        Map<Long, int[]> rim = new LinkedHashMap<Long, int[]>()
        for (int i = faces.size() - 1; i >= 0; i--) {
            if (beyond(planes.get(i), points, n) <= 1e-10d) {
                continue
            }
            int[] face = faces.remove(i)
            planes.remove(i)
            for (int k = 0; k < 3; k++) {
                int a = face[k], b = face[(k + 1) % 3]
                long edge = ((long) Math.min(a, b) << 32) | (long) Math.max(a, b)
                if (rim.remove(edge) == null) {
                    rim.put(edge, [a, b] as int[])
                }
            }
        }
        for (int[] edge : rim.values()) {
            add(points, faces, planes, [edge[0], edge[1], n] as int[], first)
        }
    }

    /** A face with its plane, turned away from the middle of `first`. */
    private static void add(float[] points, List<int[]> faces, List<double[]> planes, int[] face, int[] first) {
        double[] plane = planeOf(points, face[0], face[1], face[2])
        double depth = 0d
        for (int k = 0; k < 4; k++) {
            depth = depth + beyond(plane, points, first[k])
        }
        for (int k = 0; k < 4 && depth > 0d; k++) {
            plane[k] = -plane[k]
        }
        faces.add(face)
        planes.add(plane)
    }

    private static double[] planeOf(float[] at, int i, int j, int k) {
        int a = 3 * i, b = 3 * j, c = 3 * k
        double p0 = (double) at[b] - at[a], p1 = (double) at[b + 1] - at[a + 1], p2 = (double) at[b + 2] - at[a + 2]
        double q0 = (double) at[c] - at[a], q1 = (double) at[c + 1] - at[a + 1], q2 = (double) at[c + 2] - at[a + 2]
        double z = p1 * q2 - p2 * q1, y = p2 * q0 - p0 * q2, x = p0 * q1 - p1 * q0
        double length = Math.sqrt(z * z + y * y + x * x) + 1e-300d
        double offset = -(z * at[a] + y * at[a + 1] + x * at[a + 2]) / length
        return [z / length, y / length, x / length, offset] as double[]
    }

    private static double beyond(double[] plane, float[] at, int n) {
        return plane[0] * at[3 * n] + plane[1] * at[3 * n + 1] + plane[2] * at[3 * n + 2] + plane[3]
    }

    /** Four points that are far from lying in a plane. */
    private static int[] start(float[] at, int count) {
        int a = 0, b = 0, c = 0, d = 0
        double best = 0d
        for (int n = 1; n < count; n++) {
            double length = between(at, a, n)
            b = length > best ? n : b
            best = Math.max(best, length)
        }
        best = 0d
        for (int n = 1; n < count; n++) {
            double width = between(at, a, n) + between(at, b, n) - between(at, a, b)
            c = width > best ? n : c
            best = Math.max(best, width)
        }
        double[] plane = planeOf(at, a, b, c)
        best = 1e-9d
        for (int n = 1; n < count; n++) {
            double height = Math.abs(beyond(plane, at, n))
            d = height > best ? n : d
            best = Math.max(best, height)
        }
        return d == 0 ? null : [a, b, c, d] as int[]
    }

    private static double between(float[] at, int a, int b) {
        double z = (double) at[3 * a] - at[3 * b], y = (double) at[3 * a + 1] - at[3 * b + 1]
        double x = (double) at[3 * a + 2] - at[3 * b + 2]
        return Math.sqrt(z * z + y * y + x * x)
    }
}
