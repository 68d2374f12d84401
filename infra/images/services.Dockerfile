# Images of what runs beside on one machine: --target mlflow, --target s3.
FROM python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d AS mlflow
RUN groupadd --gid 10001 levo \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin levo
COPY constraints.txt /opt/levo/constraints.txt
ARG LEVO_CONSTRAINTS_SHA256
RUN echo "$LEVO_CONSTRAINTS_SHA256  /opt/levo/constraints.txt" | sha256sum --check
# pg8000 speaks to PostgreSQL, boto3 to the S3 store; the login page needs Flask-WTF.
RUN pip install --no-cache-dir --constraint /opt/levo/constraints.txt mlflow Flask-WTF pg8000 boto3
ENV PYTHONUNBUFFERED=1 \
    HOME=/tmp
USER 10001:10001
CMD ["mlflow", "--version"]

# A bucket is a folder, and a new volume takes over this one with its owner.
FROM versity/versitygw:v1.8.0@sha256:30292fc2eeacc67a36993b01f7a7a5e3361a19cced0e80c1d71cfa2a4b0a2499 AS s3
RUN mkdir -p /data/mlflow /data/levo \
    && chown -R 10001:10001 /data
USER 10001:10001
