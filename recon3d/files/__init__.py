"""The files that Recon3D writes: scan.h5, grain.h5, NumPy arrays, ParaView."""
