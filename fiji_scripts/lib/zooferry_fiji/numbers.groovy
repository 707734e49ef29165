import groovy.transform.CompileStatic
import java.nio.ByteBuffer

/** Loops over pixels for Check Zooferry Model and Compare Zooferry Images. */
@CompileStatic
class Numbers {
    /** `count` little-endian or big-endian (as `bytes` is set) numbers of a numpy kind as 32-bit floats. */
    public static float[] toFloats(ByteBuffer bytes, String kind, int count) {
        float[] result = new float[count]
        switch (kind) {
            case 'f4': bytes.asFloatBuffer().get(result); break
            case 'f8': for (int i = 0; i < count; i++) result[i] = (float) bytes.getDouble(8 * i); break
            case 'f2': for (int i = 0; i < count; i++) result[i] = half(bytes.getShort(2 * i)); break
            case 'b1':
            case 'u1': for (int i = 0; i < count; i++) result[i] = (float) (bytes.get(i) & 0xff); break
            case 'i1': for (int i = 0; i < count; i++) result[i] = (float) bytes.get(i); break
            case 'u2': for (int i = 0; i < count; i++) result[i] = (float) (bytes.getShort(2 * i) & 0xffff); break
            case 'i2': for (int i = 0; i < count; i++) result[i] = (float) bytes.getShort(2 * i); break
            case 'u4': for (int i = 0; i < count; i++) result[i] = (float) (bytes.getInt(4 * i) & 0xffffffffL); break
            case 'i4': for (int i = 0; i < count; i++) result[i] = (float) bytes.getInt(4 * i); break
            case 'i8': for (int i = 0; i < count; i++) result[i] = (float) bytes.getLong(8 * i); break
            case 'u8': for (int i = 0; i < count; i++) result[i] = unsigned(bytes.getLong(8 * i)); break
            default: throw new IllegalArgumentException(kind)
        }
        return result
    }

    private static float half(short bits) {
        int exponent = (bits >> 10) & 0x1f
        int fraction = bits & 0x3ff
        double size
        if (exponent == 0) size = fraction * Math.pow(2, -24)
        else if (exponent == 31) size = fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN
        else size = (1024 + fraction) * Math.pow(2, exponent - 25)
        return (float) (bits < 0 ? -size : size)
    }

    private static float unsigned(long bits) {
        double low = (double) (bits & 0x7fffffffffffffffL)
        return (float) (bits < 0 ? low + 9.223372036854775808e18d : low)
    }

    /** One plane of a tensor, row by row: `begin` and the steps along y and x count values. */
    public static float[] plane(float[] values, int begin, int height, int width, int stepY, int stepX) {
        float[] result = new float[height * width]
        int i = 0
        for (int y = 0; y < height; y++) {
            int place = begin + y * stepY
            if (stepX == 1) {
                System.arraycopy(values, place, result, i, width)
                i += width
                continue
            }
            for (int x = 0; x < width; x++) {
                result[i++] = values[place]
                place += stepX
            }
        }
        return result
    }

    /**
     * How far `actual` is from `expected`, in double precision, by the rules of zooferry.comparison.
     *
     * Returned are: disagreeing values, non-finite values of actual and of expected, finite pairs, largest |d|,
     * largest |d| / max(|e|, floor), largest excess over what is allowed and its place, largest |d| as a part of
     * what is allowed and its place.
     */
    public static double[] compare(float[] actual, float[] expected, double rtol, double atol) {
        double floor = atol != 0d ? atol : Double.MIN_NORMAL
        double bad = 0, badActual = 0, badExpected = 0, finite = 0, maxAbs = 0, maxRel = 0
        double worst = Double.NEGATIVE_INFINITY, part = -1
        int worstAt = 0, partAt = 0
        for (int i = 0; i < actual.length; i++) {
            double a = actual[i], e = expected[i]
            boolean fineA = a - a == 0d, fineE = e - e == 0d
            if (!fineA) badActual++
            if (!fineE) badExpected++
            if (!(fineA && fineE)) {
                bad++
                if (worst < Double.POSITIVE_INFINITY) {
                    worst = Double.POSITIVE_INFINITY
                    worstAt = i
                }
                continue
            }
            finite++
            double d = Math.abs(a - e), size = Math.abs(e), excess = d - (atol + rtol * size)
            if (excess > 0d) bad++
            if (excess > worst) {
                worst = excess
                worstAt = i
            }
            if (d > maxAbs) maxAbs = d
            double relative = d / Math.max(size, floor)
            if (relative > maxRel) maxRel = relative
            double allowed = d - excess, share = allowed > 0d ? d / allowed : 0d
            if (share > part) {
                part = share
                partAt = i
            }
        }
        return [bad, badActual, badExpected, finite, maxAbs, maxRel, worst, (double) worstAt, part, (double) partAt] as double[]
    }

    /** actual - expected, value by value. */
    public static float[] difference(float[] actual, float[] expected) {
        float[] result = new float[actual.length]
        for (int i = 0; i < actual.length; i++) result[i] = actual[i] - expected[i]
        return result
    }
}
